"""Were both sides told? Windows that were seen to fill, against the notices and the log (A1).

No moment is common to both stores: what the usage store says was told is looked for in the market
store afterwards, and what was told there in the usage store after that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.audit.told import Told, leaves_by_key
from app.db.session import now
from app.kernel.clock import epoch_us
from app.metering.tables import usage_notice
from app.metering.usage.noticing import KINDS, NOTICES_TO_TELL, dedupe_key, facts_of
from app.notices.models import Notice

BATCH = 500
UNTOLD_AT_MOST = timedelta(minutes=10)


def problems(before: sa.Connection, session: Session, after: sa.Connection) -> Iterator[str]:
    """Windows that were told to nobody, to one side, or otherwise; notices of nothing."""
    overdue_us = epoch_us(now(session) - UNTOLD_AT_MOST)
    for batch in _partitions(before):
        told = {dedupe_key(row): row for row in batch if row.told_at_us is not None}
        notices, leaves = _notices(session, told), leaves_by_key(session, told)
        for key, row in told.items():
            yield from _differences(key, row, notices.get(key, ()), leaves.get(key))
        for row in batch:
            if row.told_at_us is None and row.seen_at_us < overdue_us:
                yield f"A1: {dedupe_key(row)} has been told to nobody for 10 minutes"
    yield from _of_nothing(session, after)


def _differences(
    key: str, row: sa.Row[Any], notices: Sequence[Notice], leaf: Told | None
) -> Iterator[str]:
    facts = facts_of(row)
    sides = sorted({row.buyer_id, row.provider_id})
    if [notice.organisation_id for notice in notices] != sides:
        yield f"A1: {key} was not told to both sides"
    elif any(notice.facts != facts or notice.kind != KINDS[row.percent] for notice in notices):
        yield f"A1: {key} was told otherwise than it was seen"
    elif leaf is None or leaf.kind != "usage:window_told" or leaf.facts != facts:
        yield f"A1: {key} has no leaf that says that it was told"


def _of_nothing(session: Session, after: sa.Connection) -> Iterator[str]:
    keys = {dedupe_key(row) for batch in _partitions(after) for row in batch}
    rows = session.execute(
        select(Notice.id, Notice.dedupe_key)
        .where(col(Notice.kind).in_(KINDS.values()))
        .order_by(col(Notice.id))
        .execution_options(yield_per=BATCH)
    )
    for notice_id, key in rows:
        if key not in keys:
            yield f"A1: notice {notice_id} tells of a window that did not fill"


def _partitions(connection: sa.Connection) -> Iterator[Sequence[sa.Row[Any]]]:
    rows = connection.execute(
        NOTICES_TO_TELL.order_by(*usage_notice.primary_key).execution_options(yield_per=BATCH)
    )
    yield from rows.partitions()


def _notices(session: Session, keys: Collection[str]) -> Mapping[str, Sequence[Notice]]:
    found: dict[str, list[Notice]] = {}
    rows = session.exec(
        select(Notice).where(col(Notice.dedupe_key).in_(keys)).order_by(col(Notice.organisation_id))
    )
    for notice in rows:
        found.setdefault(notice.dedupe_key, []).append(notice)
    return found
