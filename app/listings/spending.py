"""Spending: how many units a period's usage charges may come to. Pure, by the very rating of quotes
and invoices, so that a cap and a bill can never differ.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from app.kernel.canonical import MAX_INTEGER
from app.kernel.money import EXACT, Money, total
from app.listings.charges import Charge, Fixed, Included, Tier, Volume
from app.listings.prices import rate_plan

if TYPE_CHECKING:  # a plan checks itself by what it costs
    from app.listings.plans import Plan


def usage_cost(plan: Plan, units: int) -> Money:
    """What one period's use comes to without tax: every charge but those that are due once."""
    lines = rate_plan(plan, units)
    return total(
        (line.amount for line in lines if not isinstance(plan.charges[line.charge], Fixed)),
        plan.money,
    )


def spend_units(plan: Plan, cap: Money) -> int | None:
    """The most units of one period that cost no more than `cap`; None when no number costs more.

    The plan's charges never fall as use rises, and no use costs no more than the cap.
    """
    if usage_cost(plan, MAX_INTEGER).minor <= cap.minor:
        return None
    fits, exceeds = 0, MAX_INTEGER
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if usage_cost(plan, middle).minor <= cap.minor:
            fits = middle
        else:
            exceeds = middle
    return fits


def never_falls(plan: Plan) -> bool:
    """Whether one unit more never costs less.

    Of all models only `volume` may fall: where a cheaper tier begins to price all units.
    """
    return all(_never_falls(charge, plan.per) for charge in plan.charges)


def _never_falls(charge: Charge, per: int) -> bool:
    if isinstance(charge, Included):
        return _never_falls(charge.then, per)
    if not isinstance(charge, Volume):
        return True
    return all(_rises_into(tier, after, per) for tier, after in pairwise(charge.tiers))


def _rises_into(tier: Tier, after: Tier, per: int) -> bool:
    """Whether the first unit of a tier makes the whole cost no less than the last before it."""
    assert tier.up_to is not None, "only the last tier has no end"
    return _cost(tier, tier.up_to, per) <= _cost(after, tier.up_to + 1, per)


def _cost(tier: Tier, units: int, per: int) -> Decimal:
    """What so many units cost in a tier that prices all of them, before rounding."""
    priced = EXACT.multiply(Decimal(units), tier.unit_price.major)
    flat = Decimal(0) if tier.flat is None else tier.flat.money.major()
    return EXACT.add(EXACT.divide(priced, Decimal(per)), flat)
