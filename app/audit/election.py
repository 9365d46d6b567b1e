"""Election: who may number leaves or make the log's key, one transaction at a time."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session

from app.db.engine import is_sqlite

LOG_LOCK = 0x5A686967  # one advisory lock of ours: "Zhig"


def is_elected(session: Session) -> bool:
    """Whether this transaction alone may grow the log until it ends; never waits on PostgreSQL.

    On SQLite there is only one writer anyway.
    """
    connection = session.connection()
    if is_sqlite(connection):
        return True
    lock = sa.func.pg_try_advisory_xact_lock(LOG_LOCK)
    return bool(connection.execute(sa.select(lock)).scalar())


def hold_log(session: Session) -> None:
    """Wait until this transaction alone holds the log."""
    connection = session.connection()
    if not is_sqlite(connection):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOG_LOCK)))
