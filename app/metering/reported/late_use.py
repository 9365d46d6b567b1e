"""Late use: what a provider reported of a month after that month's end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

import sqlalchemy as sa

from app.metering.history.history import history
from app.metering.reported.answers import DAY_US, LATE_AT_MOST_US, REPORTED
from app.metering.tables import grant_state, grant_terms, usage_event, usage_report

# Asia/Shanghai has had no summer time since 1991: its days are whole days of a shifted clock.
SHANGHAI_US = 8 * 3600 * 1_000_000
EPOCH = date(1970, 1, 1)


def grants_with_reports(connection: sa.Connection, grant_ids: Iterable[str]) -> frozenset[str]:
    """Those of the grants whose use is reported: no other can have any that is late."""
    rows = connection.execute(
        sa.select(usage_report.c.grant_id)
        .where(usage_report.c.grant_id.in_(list(grant_ids)))
        .distinct()
    )
    return frozenset(rows.scalars())


def grants_to_be_told_of(
    connection: sa.Connection, grant_ids: Iterable[str], now_us: int
) -> frozenset[str]:
    """Those of the grants that use may yet be reported of: what was delivered until they ended.

    Use is refused that lies further back; a day more is for clocks that differ.
    """
    since_us = now_us - LATE_AT_MOST_US - DAY_US
    rows = connection.execute(
        sa.select(grant_state.c.grant_id)
        .join(
            grant_terms,
            sa.and_(
                grant_terms.c.grant_id == grant_state.c.grant_id,
                grant_terms.c.epoch == grant_state.c.epoch,
            ),
        )
        .where(
            grant_state.c.grant_id.in_(list(grant_ids)),
            grant_terms.c.applied_at_us > since_us,
            grant_terms.c.compiled["delivery"].as_string() == REPORTED,
        )
    )
    return frozenset(rows.scalars())


def late_units(
    connection: sa.Connection, grant_id: str, first: int, last: int, before_us: int
) -> dict[str, int]:
    """Units that cost, in the events `first` to `last`, of use that occurred before `before_us`, by
    the month that it occurred in; what was taken back counts against the month that it was of.
    """
    wanted = usage_event.c.number.between(first, last)
    with history(connection, grant_id, first, last):
        return _by_month(connection, grant_id, before_us, wanted)


def late_units_settled(
    connection: sa.Connection, grant_id: str, from_us: int, until_us: int
) -> dict[str, int]:
    """The same for the events that were settled in a half-open stretch of time."""
    settled = usage_event.c.settled_at_us
    return _by_month(connection, grant_id, from_us, sa.and_(settled >= from_us, settled < until_us))


def _by_month(
    connection: sa.Connection, grant_id: str, before_us: int, wanted: sa.ColumnElement[bool]
) -> dict[str, int]:
    day = (usage_report.c.occurred_at_us + SHANGHAI_US) // DAY_US
    sign = sa.case((usage_event.c.kind == "void", -1), else_=1)
    units = sign * (usage_event.c.units - usage_event.c.granted_units)
    of_report = sa.and_(
        usage_report.c.grant_id == usage_event.c.grant_id,
        # A void stands for the report of the event that it takes back.
        usage_report.c.number == sa.func.coalesce(usage_event.c.voids, usage_event.c.number),
    )
    rows = connection.execute(
        sa.select(day.label("day"), sa.func.sum(units))
        .join_from(usage_event, usage_report, of_report)
        .where(
            usage_event.c.grant_id == grant_id,
            wanted,
            usage_report.c.occurred_at_us < before_us,
        )
        .group_by(sa.text("1"))
    )
    months: dict[str, int] = defaultdict(int)
    for found, summed in rows:
        months[f"{EPOCH + timedelta(days=int(found)):%Y-%m}"] += int(summed)
    return {month: total for month, total in sorted(months.items()) if total}
