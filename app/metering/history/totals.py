"""Totals: what each grant's use comes to by day and meter, so that nobody adds up events again.

The events remain the truth; totals are made from ranges of numbers that never change any more, each
range once: a grant is totalled up to a number, and moving that number and adding what lies below it
are one transaction. So neither a crash nor a second worker counts anything twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.metering.tables import grant_state, usage_event, usage_total

MAX_EVENTS = 20_000
DAY_US = 24 * 3600 * 1_000_000
# Asia/Shanghai has had no summer time since 1991: its days are whole days of a shifted clock.
SHANGHAI_US = 8 * 3600 * 1_000_000
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What a grant's events of one day (Asia/Shanghai) and meter come to.

    What was taken back is taken off on the day when it was: a day may be below zero.
    `granted_units` of the units were burned from unit grants; `bytes` stay counted, they were sent.
    """

    day: date
    meter: str
    units: int
    granted_units: int
    calls: int
    bytes: int
    first_number: int
    last_number: int


def total_due(installation: Installation) -> None:
    """Add what was settled since to the totals. Safe to run anywhere, by many, at any time."""
    with installation.usage_transaction(writes=False) as connection:
        due = list(
            connection.execute(
                sa.select(grant_state.c.grant_id)
                .where(grant_state.c.totalled_to < grant_state.c.last_number)
                .order_by(grant_state.c.grant_id)
            ).scalars()
        )
    for grant_id in due:
        while total_grant(installation, grant_id) == MAX_EVENTS:
            pass


def total_grant(installation: Installation, grant_id: str) -> int:
    """Add the grant's oldest events that are in no total, at most `MAX_EVENTS`; how many were.

    None are when somebody else was faster.
    """
    with installation.usage_transaction(writes=False) as connection:
        state = connection.execute(
            sa.select(grant_state.c.totalled_to, grant_state.c.last_number).where(
                grant_state.c.grant_id == grant_id
            )
        ).one()
        first = state.totalled_to + 1
        last = min(state.last_number, state.totalled_to + MAX_EVENTS)
        totals = day_totals(connection, grant_id, first, last)
    if last < first:
        return 0
    with installation.usage_transaction() as connection:
        if not _move(connection, grant_id, first - 1, last):
            return 0
        _add(connection, grant_id, totals)
    return int(last - first + 1)


def day_totals(
    connection: sa.Connection, grant_id: str, first: int, last: int
) -> Sequence[DayTotal]:
    """What the grant's events `first` to `last` come to, by day and meter."""
    event = usage_event.c
    # SQLite divides whole numbers to whole numbers, PostgreSQL too; moments are after 1970.
    day = ((event.settled_at_us + SHANGHAI_US) // DAY_US).label("day")
    sign = sa.case((event.kind == "void", -1), else_=1)
    rows = connection.execute(
        sa.select(
            day,
            event.meter,
            _sum(sign * event.units),
            _sum(sign * event.granted_units),
            _sum(sign),
            _sum(event.bytes),
            sa.func.min(event.number),
            sa.func.max(event.number),
        )
        .where(event.grant_id == grant_id, event.number.between(first, last))
        .group_by(sa.text("1"), event.meter)
        .order_by(sa.text("1"), event.meter)
    )
    return [DayTotal(EPOCH + timedelta(days=int(row[0])), *row[1:]) for row in rows]


def kept_totals(connection: sa.Connection, grant_id: str) -> Sequence[DayTotal]:
    """The grant's totals as they are kept: those of its events up to `totalled_to`."""
    total = usage_total.c
    rows = connection.execute(
        sa.select(*(total[name] for name in DayTotal.__slots__))
        .where(total.grant_id == grant_id)
        .order_by(total.day, total.meter)
    )
    return [DayTotal(*row) for row in rows]


def replace_totals(
    connection: sa.Connection, grant_id: str, totalled_to: int, totals: Sequence[DayTotal]
) -> bool:
    """Put `totals` in the place of those that are kept, unless the grant has been totalled further
    than `totalled_to`; whether they were. Needs a writing transaction.
    """
    if not _move(connection, grant_id, totalled_to, totalled_to):
        return False
    connection.execute(sa.delete(usage_total).where(usage_total.c.grant_id == grant_id))
    _add(connection, grant_id, totals)
    return True


def _move(connection: sa.Connection, grant_id: str, from_number: int, to_number: int) -> bool:
    """Note that the grant is totalled to `to_number`, and hold its row; false if another did."""
    moved = connection.execute(
        sa.update(grant_state)
        .where(grant_state.c.grant_id == grant_id, grant_state.c.totalled_to == from_number)
        .values(totalled_to=to_number)
    )
    return moved.rowcount == 1


def _add(connection: sa.Connection, grant_id: str, totals: Sequence[DayTotal]) -> None:
    insert: Any = (sqlite.insert if is_sqlite(connection) else postgresql.insert)(usage_total)
    kept, more = usage_total.c, insert.excluded
    adding = insert.on_conflict_do_update(
        index_elements=["grant_id", "day", "meter"],
        set_={
            "units": kept.units + more.units,
            "granted_units": kept.granted_units + more.granted_units,
            "calls": kept.calls + more.calls,
            "bytes": kept.bytes + more.bytes,
            "last_number": more.last_number,
        },
    )
    for total in totals:
        values = {name: getattr(total, name) for name in DayTotal.__slots__}
        connection.execute(adding, {"grant_id": grant_id, **values})


def _sum(column: Any) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(column), sa.BigInteger)
