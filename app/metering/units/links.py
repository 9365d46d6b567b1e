"""Are the units that calls burn those that were granted? Read-only; names each that is not.

`before` and `after` see the usage store as it was before and after the market's session began.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.contracts.granting_units import compiled_units, units_key
from app.contracts.models import UnitGrant
from app.contracts.queries import every_unit_grant, units_by_id
from app.db.session import now
from app.jobs.queue import waiting_keys
from app.kernel.clock import epoch_us
from app.metering.tables import unit_grant

BATCH = 200


def unit_link_problems(
    before: sa.Connection, session: Session, after: sa.Connection
) -> Iterator[str]:
    """Units in the usage store that nobody granted so, and granted ones that never came there."""
    yield from _never_granted(before, session)
    yield from _never_came(session, after)


def _never_granted(before: sa.Connection, session: Session) -> Iterator[str]:
    rows = before.execute(
        sa.select(unit_grant)
        .order_by(unit_grant.c.grant_id, unit_grant.c.unit_grant_id)
        .execution_options(yield_per=BATCH)
    )
    for batch in rows.partitions():
        granted = units_by_id(session, [row.unit_grant_id for row in batch])
        for row in batch:
            found = granted.get(row.unit_grant_id)
            if found is None:
                yield f"C1: unit grant {row.unit_grant_id} can be burned, but was never granted"
            elif _seen(row) != _said(found):
                yield f"C1: unit grant {row.unit_grant_id} can be burned otherwise than granted"


def _never_came(session: Session, after: sa.Connection) -> Iterator[str]:
    at_us = epoch_us(now(session))
    for batch in every_unit_grant(session):
        alive = [granted for granted in batch if epoch_us(granted.ends_at) > at_us]
        waiting = waiting_keys(session, [units_key(granted) for granted in alive])
        known = frozenset(
            after.execute(
                sa.select(unit_grant.c.unit_grant_id).where(
                    unit_grant.c.unit_grant_id.in_([granted.id for granted in alive])
                )
            ).scalars()
        )
        for granted in alive:
            if granted.id not in known and units_key(granted) not in waiting:
                yield f"C1: unit grant {granted.id} never came to where calls burn it"


def _seen(row: sa.Row[Any]) -> tuple[object, ...]:
    return (row.grant_id, *(getattr(row, name) for name in _MEMBERS))


def _said(granted: UnitGrant) -> tuple[object, ...]:
    compiled = compiled_units(granted)
    return (granted.grant_id, *(compiled[name] for name in _MEMBERS))


_MEMBERS = (
    "kind",
    "meter",
    "priority",
    "amount_units",
    "starts_at_us",
    "ends_at_us",
    "granted_at_us",
)
