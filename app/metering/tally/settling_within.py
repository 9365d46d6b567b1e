"""Settling within a transaction that stands already, for what is posted beside its event.

The rules are the tally's own: `settling.py` on SQLite, the functions in the store on PostgreSQL.
Whoever opened the transaction holds the grant's lock and commits.
"""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from app.db.engine import is_sqlite
from app.kernel.refusals import Outage
from app.metering.tally.calls import Batch, Outcome, Settled, Void
from app.metering.tally.postgres_driver import BatchColumns, void_arguments
from app.metering.tally.settling import settle
from app.metering.tally.sqlite_book import load_book, void_event, write_book


def settle_within(connection: sa.Connection, batch: Batch) -> list[Settled]:
    """What becomes of each call, as the tally would say."""
    if is_sqlite(connection):
        try:
            raw = _raw(connection)
            book = load_book(raw, batch)
            answers = settle(batch, book)
            write_book(raw, book)
        except sqlite3.OperationalError as error:
            raise _away() from error
        return answers
    columns = BatchColumns(batch)
    arguments = (batch.again, batch.afterwards, batch.counts_at_us, *columns.arguments())
    row = connection.exec_driver_sql(_calling("usage_settle", arguments), arguments).one()
    return columns.answers(row)


def void_within(connection: sa.Connection, void: Void) -> Settled:
    """Take an event back, as the tally would."""
    if is_sqlite(connection):
        try:
            return void_event(_raw(connection), void)
        except sqlite3.OperationalError as error:
            raise _away() from error
    arguments = void_arguments(void)
    row = connection.exec_driver_sql(_calling("usage_void", arguments), arguments).one()
    return Settled(Outcome(row[0]), row[1], row[2], row[3])


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    """The driver's own connection, in the same transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _calling(function: str, arguments: tuple[object, ...]) -> str:
    return f"SELECT * FROM {function}({', '.join(['%s'] * len(arguments))})"  # noqa: S608 - a name of ours


def _away() -> Outage:
    return Outage("The usage store did not answer; try again.")
