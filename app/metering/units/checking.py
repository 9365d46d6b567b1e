"""Do unit grants keep M1? What burned of each is what its calls burned, and calls took no more.

Read-only; names the first row of a grant that breaks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.metering.tables import unit_burn, unit_grant, usage_event, usage_report
from app.metering.tally.counted import COUNTS_AT_US, ITS_REPORT


def unit_problems(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    """What is wrong with the unit grants of a grant; `grant` is its row of `grant_state`."""
    yield from _sum_problems(connection, grant.grant_id)
    yield from _event_problems(connection, grant.grant_id)
    yield from _stray_burns(connection, grant)
    if not grant.has_granted_units:
        yield from _hidden(connection, grant)


def _sum_problems(connection: sa.Connection, grant_id: str) -> Iterator[str]:
    burned = sa.func.coalesce(sa.func.sum(unit_burn.c.units), 0)
    wrong = connection.execute(
        sa.select(unit_grant.c.unit_grant_id, unit_grant.c.burned_units, burned.label("burned"))
        .outerjoin(
            unit_burn,
            sa.and_(
                unit_burn.c.grant_id == unit_grant.c.grant_id,
                unit_burn.c.unit_grant_id == unit_grant.c.unit_grant_id,
            ),
        )
        .where(unit_grant.c.grant_id == grant_id)
        .group_by(unit_grant.c.unit_grant_id, unit_grant.c.burned_units)
        .having(burned != unit_grant.c.burned_units)
        .order_by(unit_grant.c.unit_grant_id)
        .limit(1)
    ).one_or_none()
    if wrong is not None:
        yield (
            f"M1: unit grant {wrong.unit_grant_id} says {wrong.burned_units} units burned, "
            f"its calls {wrong.burned}"
        )


def _event_problems(connection: sa.Connection, grant_id: str) -> Iterator[str]:
    """Each posted event burned what it says; one that was taken back has given it back."""
    burned = (
        sa.select(unit_burn.c.number, sa.func.sum(unit_burn.c.units).label("units"))
        .where(unit_burn.c.grant_id == grant_id)
        .group_by(unit_burn.c.number)
        .subquery()
    )
    void = usage_event.alias("void")
    stands = sa.case((void.c.number.is_(None), usage_event.c.granted_units), else_=0)
    wrong = connection.execute(
        sa.select(usage_event.c.event_id)
        .outerjoin(burned, burned.c.number == usage_event.c.number)
        .outerjoin(
            void,
            sa.and_(
                void.c.grant_id == usage_event.c.grant_id, void.c.voids == usage_event.c.number
            ),
        )
        .where(usage_event.c.grant_id == grant_id, usage_event.c.kind == "posted")
        .where(stands != sa.func.coalesce(burned.c.units, 0))
        .order_by(usage_event.c.number)
        .limit(1)
    ).scalar_one_or_none()
    if wrong is not None:
        yield f"M1: event {wrong} burned other units than it says"


def _stray_burns(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    """Burns of nothing, by nobody, or outside the life of what they burned."""
    of_burn = [
        sa.and_(table.c.grant_id == unit_burn.c.grant_id, table.c[name] == unit_burn.c[name])
        for table, name in ((unit_grant, "unit_grant_id"), (usage_event, "number"))
    ]
    fits = sa.and_(
        usage_event.c.meter == unit_grant.c.meter,
        usage_event.c.kind == "posted",
        unit_grant.c.starts_at_us <= COUNTS_AT_US,
        unit_grant.c.ends_at_us > COUNTS_AT_US,
        sa.or_(usage_report.c.corrects.is_(None), unit_grant.c.granted_at_us <= COUNTS_AT_US),
    )
    lost = sa.and_(usage_event.c.number.is_(None), unit_burn.c.number > grant.archived_to)
    stray = connection.execute(
        sa.select(unit_burn.c.number, unit_burn.c.unit_grant_id)
        .outerjoin(unit_grant, of_burn[0])
        .outerjoin(usage_event, of_burn[1])
        .outerjoin(usage_report, ITS_REPORT)
        .where(unit_burn.c.grant_id == grant.grant_id)
        .where(sa.or_(unit_grant.c.grant_id.is_(None), lost, sa.not_(fits)))
        .order_by(unit_burn.c.number)
        .limit(1)
    ).one_or_none()
    if stray is not None:
        yield (
            f"M1: event {stray.number} of {grant.grant_id} could not burn units of "
            f"{stray.unit_grant_id}"
        )


def _hidden(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    """Units that calls would not look for, though they may burn them."""
    hidden = connection.execute(
        sa.select(unit_grant.c.unit_grant_id)
        .where(unit_grant.c.grant_id == grant.grant_id)
        .where(unit_grant.c.burned_units < unit_grant.c.amount_units)
        .where(unit_grant.c.ends_at_us > grant.last_settled_at_us)
        .limit(1)
    ).scalar_one_or_none()
    if hidden is not None:
        yield f"M1: no call looks for unit grant {hidden}, which has units left"
