"""Carrying over: what a quota's window has left is granted for the next one, once.

The window is closed under the grant's lock first: no call can settle in it any more. What a void
gives back to it later is not carried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from app.contracts.bounds import moments_under
from app.contracts.granting_units import CARRY, grant_carried, schedule_carrying
from app.contracts.models import Contract, DataGrant
from app.contracts.queries import signed_terms
from app.contracts.states import LIVING
from app.contracts.terms import agreed_plan
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.kernel.clock import epoch_us, from_epoch_us
from app.listings.plans import CarryOver
from app.metering.tables import grant_state, usage_window
from app.metering.windows import WindowKind, window_bounds

Bounds = tuple[int, int]


def carried_units(limit_units: int, used_units: int, rule: CarryOver) -> int:
    """What is granted in the next window: no more than the most, no less than the least. Pure."""
    left = max(0, limit_units - used_units)
    return max(rule.min_units, min(left, rule.max_units))


def carry_units(installation: Installation, payload: Mapping[str, Any]) -> None:
    """Grant what the window around `from_us` has left, and come again when the next one ends.

    A window that has not ended yet is come back to; a repeat grants nothing twice. Whoever comes
    so late that the next one is over too grants nothing for it: nobody could use it any more.
    """
    grant_id, place = payload["grant_id"], payload["place"]
    actor = job_actor(CARRY)
    with installation.transaction(actor, writes=False) as session:
        contract = session.get_one(Contract, session.get_one(DataGrant, grant_id).contract_id)
        document = signed_terms(session, contract).document
        living = contract.state in LIVING
    plan = agreed_plan(document).plan
    quota = plan.quotas[place] if place < len(plan.quotas) else None
    if not living or quota is None or quota.carry_over is None or quota.limit_units is None:
        return
    kind = WindowKind(quota.window.value)
    starts_at, ends_at = moments_under(document)
    life = epoch_us(starts_at), epoch_us(ends_at)
    window = window_bounds(kind, payload["from_us"], life)
    after = window_bounds(kind, window[1], life)
    if window[1] >= life[1]:
        return
    now_us = installation.clock.now_us()
    if now_us < window[1]:
        with installation.transaction(actor) as session:
            window_from, due_at = map(from_epoch_us, (payload["from_us"], window[1]))
            schedule_carrying(session, grant_id, place, window_from, due_at)
        return
    used = _close_window(installation, grant_id, plan.meter.value, kind, window)
    units = carried_units(quota.limit_units, used, quota.carry_over)
    next_from, next_until = map(from_epoch_us, after)
    with installation.transaction(actor) as session:
        if units and now_us < after[1]:
            grant_carried(session, grant_id, place, units, (next_from, next_until))
        schedule_carrying(session, grant_id, place, next_from, next_until)


def _close_window(
    installation: Installation, grant_id: str, meter: str, kind: WindowKind, window: Bounds
) -> int:
    """The units used in a window that has ended, which no call settles in from now on."""
    with installation.usage_transaction() as connection:
        connection.execute(
            sa.update(grant_state)
            .where(grant_state.c.grant_id == grant_id)
            .where(grant_state.c.last_settled_at_us < window[1])
            .values(last_settled_at_us=window[1])
        )
        used = connection.execute(
            sa.select(usage_window.c.used_units).where(
                usage_window.c.grant_id == grant_id,
                usage_window.c.meter == meter,
                usage_window.c.kind == kind.value,
                usage_window.c.starts_at_us == window[0],
            )
        ).scalar_one_or_none()
    return int(used or 0)
