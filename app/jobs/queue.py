"""Putting work into the queue and taking it out by lease."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select, update

from app.db.engine import is_sqlite
from app.db.session import now
from app.jobs.kinds import JobKind
from app.jobs.models import Job
from app.kernel.ids import new_id


def enqueue(
    session: Session,
    kind: str,
    *,
    due_at: datetime | None = None,
    dedupe_key: str | None = None,
    **payload: Any,
) -> None:
    """Ask for a job once this transaction has committed; with a `dedupe_key`, at most once ever."""
    moment = now(session)
    values = {
        "id": new_id("job"),
        "kind": kind,
        "payload": payload,
        "dedupe_key": dedupe_key,
        "enqueued_at": moment,
        "due_at": due_at or moment,
        "attempts": 0,
    }
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    session.execute(insert(Job).values(**values).on_conflict_do_nothing())


def waiting_keys(session: Session, dedupe_keys: Collection[str]) -> frozenset[str]:
    """Those of the keys whose jobs are still to be done: neither done nor given up."""
    waiting = select(Job.dedupe_key).where(
        col(Job.dedupe_key).in_(dedupe_keys),
        col(Job.done_at).is_(None),
        col(Job.failed_at).is_(None),
    )
    return frozenset(str(key) for key in session.exec(waiting))


def claim(session: Session, kinds: Sequence[str], *, lease_s: int, token: str) -> Job | None:
    """The oldest due job of `kinds`, leased to `token`; None when nothing is due."""
    moment = now(session)
    due = (
        select(Job.id)
        .where(
            col(Job.kind).in_(kinds),
            col(Job.done_at).is_(None),
            col(Job.failed_at).is_(None),
            col(Job.due_at) <= moment,
            sa.or_(col(Job.leased_until).is_(None), col(Job.leased_until) < moment),
        )
        .order_by(col(Job.due_at), col(Job.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claimed = session.execute(
        update(Job)
        .where(col(Job.id) == due.scalar_subquery())
        .values(
            leased_until=moment + timedelta(seconds=lease_s),
            lease_token=token,
            attempts=col(Job.attempts) + 1,
        )
        .returning(Job)
        .execution_options(populate_existing=True)
    )
    return claimed.scalar_one_or_none()


def complete(session: Session, job: Job, token: str) -> None:
    """Mark `job` done, unless another worker has taken it over meanwhile."""
    _settle(session, job, token, done_at=now(session))


def put_back(session: Session, job: Job, token: str, error: str, kind: JobKind) -> None:
    """Make `job` due again after a pause, or failed after as many tries as its `kind` has."""
    moment = now(session)
    if kind.max_attempts is not None and job.attempts >= kind.max_attempts:
        _settle(session, job, token, failed_at=moment, last_error=error)
    else:
        # 2**20 seconds are longer than any pause; a larger power would only be slow to make.
        delay_s = min(kind.longest_pause_s, 2 ** min(job.attempts - 1, 20))
        _settle(session, job, token, due_at=moment + timedelta(seconds=delay_s), last_error=error)


def _settle(session: Session, job: Job, token: str, **values: Any) -> None:
    session.execute(
        update(Job)
        .where(col(Job.id) == job.id, col(Job.lease_token) == token)
        .values(leased_until=None, lease_token=None, **values)
    )
