"""Partitions: on PostgreSQL `usage_event` is kept by the month in which events were settled.

By `settled_at_us` and not by the id's own time: it never falls as a grant's numbers rise, so that a
month holds one range of numbers of each grant. That is what segments, periods and archives are.
Each month has keys of its own, as wide as those of the one table on SQLite: a number and an event
id are unique in their month by an index, beyond it by the grant's lock, under which numbers are
given and a batch that is sent again is looked for in every month (fsck: A2, M2).

A batch never fails for want of a partition: months are made ahead, and what is settled in a month
that nobody made (a clock that ran off) goes to the default partition and stays there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
import structlog

from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.kernel.clock import day_start, epoch_us, from_epoch_us, local_day
from app.metering.windows import WindowKind, calendar_days

MONTHS_AHEAD = 4
DEFAULT = "usage_event_default"
# Calls wait as long behind whoever waits for a lock that conflicts with theirs.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '300ms'"
_MINE = "SELECT pg_try_advisory_xact_lock(hashtext('zhigu usage_event'))"

log = structlog.get_logger("usage")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month of Asia/Shanghai."""

    first_on: date

    @property
    def bounds_us(self) -> tuple[int, int]:
        """The half-open month in microseconds since the epoch."""
        first, after = calendar_days(WindowKind.MONTH, self.first_on)
        return epoch_us(day_start(first)), epoch_us(day_start(after))

    @property
    def next(self) -> Month:
        """The month after."""
        return Month(calendar_days(WindowKind.MONTH, self.first_on)[1])

    @property
    def partition(self) -> str:
        """The name of its partition."""
        return f"usage_event_{self.first_on:%Y_%m}"

    def __str__(self) -> str:
        return f"{self.first_on:%Y-%m}"


def month_of(at_us: int) -> Month:
    """The month that a moment lies in."""
    return Month(local_day(from_epoch_us(at_us)).replace(day=1))


def keys_of(partition: str) -> Sequence[str]:
    """The statements that give a partition its keys."""
    altering = f"ALTER TABLE {partition} ADD CONSTRAINT"
    voids = f"CREATE UNIQUE INDEX uq_{partition}_voids ON {partition} (grant_id, voids)"
    return (
        f"{altering} pk_{partition} PRIMARY KEY (grant_id, number)",
        f"{altering} uq_{partition}_event_id UNIQUE (grant_id, event_id)",
        f"{voids} WHERE voids IS NOT NULL",
    )


POSTGRES_PARTITIONS: Sequence[str] = (
    f"CREATE TABLE {DEFAULT} PARTITION OF usage_event DEFAULT",
    *keys_of(DEFAULT),
)
"""What the migration creates beside the table: where an event of an unmade month goes."""


def make_months(connection: sa.Connection, at_us: int) -> tuple[list[Month], list[Month]]:
    """Make the partitions of the month around `at_us` and of those ahead.

    Gives the months that were made, and those that cannot be made any more, since the default
    partition holds events of theirs. Does nothing on SQLite, or while another process does it.
    Needs a writing transaction; raises the driver's error when calls are in the way of a lock.
    """
    made: list[Month] = []
    lost: list[Month] = []
    if is_sqlite(connection) or not _is_mine(connection):
        return made, lost
    there = partitions(connection)
    month = month_of(at_us)
    for _ in range(MONTHS_AHEAD + 1):
        if month.partition not in there:
            (lost if _in_default(connection, month) else made).append(month)
        month = month.next
    if made:
        connection.exec_driver_sql(LOCK_TIMEOUT)
        for month in made:
            _make(connection, month)
    return made, lost


def make_months_ahead(installation: Installation) -> None:
    """Recurring work: keep the partitions of the next months made; an outage when calls are in
    the way, until the next try.
    """
    at_us = installation.clock.now_us()
    with installation.usage_transaction() as connection:
        lost = make_months(connection, at_us)[1]
    if lost:
        log.warning("months without a partition", months=[str(month) for month in lost])


def partitions(connection: sa.Connection) -> frozenset[str]:
    """The names of the partitions that are attached; none on SQLite."""
    if is_sqlite(connection):
        return frozenset()
    rows = connection.exec_driver_sql(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'usage_event'::regclass"
    )
    return frozenset(str(row[0]) for row in rows)


def missing_months(connection: sa.Connection, at_us: int) -> Iterator[Month]:
    """The present month and the next, where they have no partition; none on SQLite."""
    if is_sqlite(connection):
        return
    there = partitions(connection)
    month = month_of(at_us)
    for _ in range(2):
        if month.partition not in there:
            yield month
        month = month.next


def partitions_without_keys(connection: sa.Connection) -> Sequence[str]:
    """Partitions that lack one of the unique keys that each must have of its own."""
    if is_sqlite(connection):
        return []
    rows = connection.exec_driver_sql(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indisunique AND x.indisvalid"
        " WHERE i.inhparent = 'usage_event'::regclass"
        " GROUP BY c.relname HAVING count(x.indexrelid) < 3 ORDER BY c.relname"
    )
    return [str(row[0]) for row in rows]


def _is_mine(connection: sa.Connection) -> bool:
    return bool(connection.exec_driver_sql(_MINE).scalar_one())


def _in_default(connection: sa.Connection, month: Month) -> bool:
    question = f"SELECT 1 FROM {DEFAULT} WHERE settled_at_us >= %s AND settled_at_us < %s LIMIT 1"  # noqa: S608 - a name of ours
    return connection.exec_driver_sql(question, month.bounds_us).first() is not None


def _make(connection: sa.Connection, month: Month) -> None:
    """Make a table and attach it: unlike `PARTITION OF`, that lets calls go on meanwhile."""
    name, (first, after) = month.partition, month.bounds_us
    for statement in (
        f"CREATE TABLE {name} (LIKE usage_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        *keys_of(name),
        f"ALTER TABLE usage_event ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({after})",
    ):
        connection.exec_driver_sql(statement)
