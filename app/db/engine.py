"""Engines for SQLite and PostgreSQL from a URL, with the durability that money needs."""

from __future__ import annotations

import sqlite3
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 10
WRITES = "zhigu_writes"
SNAPSHOT = "REPEATABLE READ"
SESSION = {"timezone": "UTC", "lock_timeout": "10s"}
# What is answered must be on disk, whatever the server's default; stronger ones stay.
DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', {local})"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
# On a line whose other end is gone, and nobody says so, a read would wait for a quarter of an hour.
ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql://…`, whose errors tell no values to the logs.

    A SQLite write transaction is BEGIN IMMEDIATE from its first statement (see `writing`), so that
    read-decide-write never upgrades a lock.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            hide_parameters=True,
            connect_args={
                "check_same_thread": False,
                "timeout": BUSY_TIMEOUT_MS / 1000,
                "factory": _SqliteConnection,
            },
        )
        event.listen(engine, "reset", _end_questions)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    address, is_pooled = pooled_url(parsed)
    options = {} if is_pooled else {"options": " ".join(f"-c {n}={v}" for n, v in SESSION.items())}
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_pre_ping=True,
        pool_timeout=5,
        connect_args={
            "connect_timeout": 5,
            # A prepared statement belongs to one server connection: behind a pool that changes
            # them between transactions it is gone, and it outlives a table that hides its own.
            "prepare_threshold": None,
            **ALIVE,
            **options,
        },
    )
    if is_pooled:
        event.listen(engine, "begin", _begin_pooled)
    else:
        event.listen(engine, "connect", _prepare_postgres)
    return engine


class _SqliteConnection(sqlite3.Connection):
    """A connection that knows its cursors.

    A question of which not all rows were read keeps SQLite's view of the store open, past the end
    of its transaction: whoever borrows the connection next sees the store as it was, and may not
    write. An exception may hold such a cursor until the garbage is collected.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *arguments: Any) -> Any:
        """A cursor that is closed at the latest when the connection is given back."""
        found = super().cursor(*arguments)
        self.cursors.add(found)
        return found


def _end_questions(connection: _SqliteConnection, *_: Any) -> None:
    for cursor in list(connection.cursors):
        cursor.close()
    connection.cursors.clear()


def pooled_url(url: URL) -> tuple[URL, bool]:
    """The URL as drivers know it, and whether it leads to a pooler which lends its connections for
    one transaction (`?pool_mode=transaction`): nothing may outlive a transaction there.
    """
    is_pooled = url.query.get("pool_mode") == "transaction"
    return url.difference_update_query(["pool_mode"]), is_pooled


def writing(engine: Engine) -> Engine:
    """The same engine and pool, whose transactions take SQLite's write lock at once."""
    return engine.execution_options(**{WRITES: True})


def reading(engine: Engine) -> Engine:
    """The same engine and pool, whose transactions see the store as it was when they began."""
    return engine if is_sqlite(engine) else engine.execution_options(isolation_level=SNAPSHOT)


def is_sqlite(engine: Engine | Connection) -> bool:
    """Whether this store is SQLite."""
    return engine.dialect.name == "sqlite"


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 must not begin by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "trusted_schema=OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_postgres(connection: Any, _record: Any) -> None:
    connection.autocommit = True  # or it would last until the first roll-back
    connection.execute(DURABLE.format(local="false"))
    connection.autocommit = False


def _begin_pooled(connection: Connection) -> None:
    for name, value in SESSION.items():
        connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
    connection.exec_driver_sql(DURABLE.format(local="true"))


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
