"""Waiting until somebody waits: how a test lets two transactions meet in a certain order."""

from __future__ import annotations

import time

from sqlalchemy import text

from app.db.engine import is_sqlite
from app.db.installation import Installation

ANYBODY = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def until_somebody_waits(installation: Installation) -> None:
    """Return once a transaction of the market store waits for a lock of another.

    SQLite tells nobody; there one writer at a time begins, so that it comes to the same.
    """
    engine = installation.market
    if is_sqlite(engine):
        return
    until = time.monotonic() + 20
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(ANYBODY).scalar():
            assert time.monotonic() < until, "nobody waits: the lock is not taken"
            time.sleep(0.01)
