"""Statements that fail: the n-th one of whatever runs inside a block, on either database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from app.db.installation import Installation


class Countdown:
    """Counts statements, and fails the `number`-th, counted from 1."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen: list[str] = []

    def passes(self, statement: str) -> bool:
        """Note a statement; whether it is the one that fails."""
        self.seen.append(statement)
        return len(self.seen) == self.number

    @property
    def has_failed(self) -> bool:
        """Whether it came to that."""
        return len(self.seen) >= self.number


@contextmanager
def failing_engines(engines: Iterable[sa.Engine], number: int) -> Iterator[Countdown]:
    """The `number`-th statement through any of the engines fails; a commit counts as one."""
    countdown = Countdown(number)

    def execute(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if countdown.passes(statement):
            raise OperationalError(statement, {}, Exception("the store is away"))

    def commit(_connection: Any) -> None:
        if countdown.passes("COMMIT"):
            raise OperationalError("COMMIT", {}, Exception("the store is away"))

    with ExitStack() as stack:
        for engine in engines:
            for name, listener in (("before_cursor_execute", execute), ("commit", commit)):
                event.listen(engine, name, listener)
                stack.callback(event.remove, engine, name, listener)
        yield countdown


@contextmanager
def failing_sqlite(number: int) -> Iterator[Countdown]:
    """The `number`-th statement of the tally's own SQLite connections fails as on a broken disk."""
    countdown = Countdown(number)
    really_connect = sqlite3.connect

    def check(statement: str) -> None:
        if countdown.passes(statement):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            check(sql)
            return super().execute(sql, *arguments)

        def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            check(sql)
            return super().executemany(sql, *arguments)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return really_connect(*arguments, factory=Failing, **options)

    # SQLAlchemy takes `sqlite3.dbapi2.connect`: the control plane is not meant here.
    with patch.object(sqlite3, "connect", connect):
        yield countdown


WATCHED = ("grant_state", "usage_window", "usage_event", "usage_key")
# As a broken disk, and as a server process that ends: nobody knows then what became of it.
RAISE = "RAISE EXCEPTION USING ERRCODE = '58030', MESSAGE = 'could not write';"
TERMINATE = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1);"


def prepare_postgres(installation: Installation, how: str) -> None:
    """Have every change of the tally's tables pass a trigger that may fail: statements one by one,
    and the commit itself through a deferred constraint.
    """
    statements = [
        "CREATE SEQUENCE fault_seen",
        "CREATE TABLE fault_at (number bigint NOT NULL)",
        "INSERT INTO fault_at VALUES (0)",
        # A sequence is not rolled back: it counts what came to nothing too.
        f"""CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('fault_seen') = (SELECT number FROM fault_at) THEN {how} END IF;
            RETURN NULL; END $$""",
    ]
    statements += [
        f"""CREATE TRIGGER fault BEFORE INSERT OR UPDATE OR DELETE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION fault()"""
        for table in WATCHED
    ]
    statements.append(
        "CREATE CONSTRAINT TRIGGER fault_at_commit AFTER INSERT ON usage_event"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault()"
    )
    with installation.usage_transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextmanager
def failing_postgres(installation: Installation, number: int) -> Iterator[Countdown]:
    """The `number`-th change of the tally's tables fails; needs `prepare_postgres`."""
    countdown = Countdown(number)
    with installation.usage_transaction() as connection:
        connection.exec_driver_sql("SELECT setval('fault_seen', 1, false)")
        connection.exec_driver_sql(f"UPDATE fault_at SET number = {number}")
    yield countdown
    with installation.usage_transaction() as connection:
        called, last = connection.exec_driver_sql(
            "SELECT is_called, last_value FROM fault_seen"
        ).one()
        connection.exec_driver_sql("UPDATE fault_at SET number = 0")
    countdown.seen += ["a change"] * (last if called else 0)
