"""Unit grants: units beside the quotas, brought from the market store, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.db.engine import is_sqlite
from app.metering.grants import Meter
from app.metering.tables import grant_state, unit_grant, usage_event

UnitKind = Literal["trial", "top_up", "goodwill", "carry_over"]


class GrantedUnits(msgspec.Struct, frozen=True, kw_only=True):
    """A unit grant as the market store has it: it never changes once it is there."""

    unit_grant_id: str
    kind: UnitKind
    meter: Meter
    priority: int
    amount_units: int
    starts_at_us: int
    ends_at_us: int
    granted_at_us: int


def apply_unit_grants(
    connection: sa.Connection, grant_id: str, granted: Sequence[GrantedUnits]
) -> None:
    """Let calls burn these units; those that are here already stay as they are.

    The grant is in the store. Takes the lock that calls settle under.
    """
    if not granted:
        return
    known = frozenset(
        connection.execute(
            sa.select(unit_grant.c.unit_grant_id)
            .where(unit_grant.c.grant_id == grant_id)
            .where(unit_grant.c.unit_grant_id.in_([one.unit_grant_id for one in granted]))
        ).scalars()
    )
    fresh = [one for one in granted if one.unit_grant_id not in known]
    if not fresh:
        return
    connection.execute(
        sa.update(grant_state)
        .where(grant_state.c.grant_id == grant_id)
        .values(has_granted_units=True)
    )
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    connection.execute(
        insert(unit_grant)
        .values([{"grant_id": grant_id, **msgspec.structs.asdict(one)} for one in fresh])
        .on_conflict_do_nothing()
    )


def granted_between(connection: sa.Connection, grant_id: str, from_us: int, until_us: int) -> int:
    """The units of calls settled in a half-open stretch of time that burned from unit grants, less
    those that were given back in it.
    """
    has_any = sa.exists().where(unit_grant.c.grant_id == grant_id)
    granted = usage_event.c.granted_units
    signed = sa.case((usage_event.c.kind == "void", -granted), else_=granted)
    found = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(signed), 0)).where(
            has_any,
            usage_event.c.grant_id == grant_id,
            usage_event.c.settled_at_us >= from_us,
            usage_event.c.settled_at_us < until_us,
        )
    ).scalar_one()
    return int(found)


def burned_units(connection: sa.Connection, unit_grant_ids: Iterable[str]) -> dict[str, int]:
    """How many units of each calls have burned; those that are not in the store are left out."""
    rows = connection.execute(
        sa.select(unit_grant.c.unit_grant_id, unit_grant.c.burned_units).where(
            unit_grant.c.unit_grant_id.in_(list(unit_grant_ids))
        )
    )
    return {str(row.unit_grant_id): int(row.burned_units) for row in rows}
