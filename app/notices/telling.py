"""Telling: a notice to each of some organisations, in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from app.db.engine import is_sqlite
from app.db.session import now
from app.kernel.ids import new_id
from app.notices.models import Notice


def tell(
    session: Session,
    kind: str,
    subject_id: str,
    *,
    organisations: Iterable[str],
    scope: str,
    dedupe_key: str,
    **facts: Any,
) -> None:
    """Tell `organisations` that `kind` (such as `usage.window_exhausted`) happened to a row.

    Whoever reads it there needs a token with `scope`. An organisation is told once under one
    `dedupe_key`: telling again changes nothing. `facts` are JSON values, the same for everybody.
    """
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    for organisation_id in sorted(set(organisations)):
        session.execute(
            insert(Notice)
            .values(
                id=new_id("ntc"),
                organisation_id=organisation_id,
                kind=kind,
                subject_id=subject_id,
                scope=scope,
                facts=facts,
                dedupe_key=dedupe_key,
                told_at=now(session),
                read_at=None,
            )
            .on_conflict_do_nothing(index_elements=["organisation_id", "dedupe_key"])
        )
