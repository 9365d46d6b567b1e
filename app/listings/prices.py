"""Prices: what a number of units costs under a plan. Pure, so that a quote, a preview and an
invoice can never differ.

An exact decimal until the end, then rounded once per line, half-even (billing-rules.md, Numbers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from app.kernel.money import EXACT, Currency, Money, round_to_minor, total
from app.listings.charges import (
    Cap,
    Charge,
    Fixed,
    Free,
    Graduated,
    Included,
    Minimum,
    Package,
    PerUnit,
    Tier,
    UsageCharge,
    Volume,
)

if TYPE_CHECKING:  # a plan checks itself by what it costs
    from app.listings.plans import Plan

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TierUse:
    """The units that one tier priced, and the flat amount that its use made due."""

    units: int
    unit_price: str
    flat: Money


@dataclass(frozen=True, slots=True)
class Line:
    """What one charge of a plan costs: a line of an invoice, rounded once.

    `units` entered the charge, `included_units` of them free. `charge` is its place in the plan.
    """

    charge: int
    model: str
    units: int
    included_units: int
    amount: Money
    tiers: tuple[TierUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """The lines of one period and their sum, without tax."""

    lines: tuple[Line, ...]
    total: Money


def quote(plan: Plan, units: int, *, first: bool = True) -> Quote:
    """What `units` cost in one period; `first` says whether it is the one with the signing."""
    lines = rate_plan(plan, units, first=first)
    return Quote(lines, total((line.amount for line in lines), plan.money))


def rate_plan(plan: Plan, units: int, *, first: bool = False) -> tuple[Line, ...]:
    """The lines of one period in which `units` were used.

    Tiers and included units begin anew in each period. `fixed` is charged when `first`. Minimum
    and cap bound the period's usage charges, not what is due once; their lines come last.
    """
    if units < 0:
        raise ValueError("units are not negative")
    lines = [
        _line(plan, place, charge, units)
        for place, charge in enumerate(plan.charges)
        if not isinstance(charge, Minimum | Cap) and (first or not isinstance(charge, Fixed))
    ]
    return (*lines, *_bounding_lines(plan, lines))


def rate_units(
    units: int, tiers: Sequence[Tier], currency: Currency, *, flat_at_zero: bool = False
) -> Money:
    """Price `units` through graduated `tiers`; rounds once, half-even, at the end."""
    exact, _ = _graduated(units, tiers, flat_at_zero, 1)
    return round_to_minor(exact, currency)


def headline_price(plan: Plan) -> Decimal:
    """What a catalogue shows: the price of a first paid unit, in major units per unit.

    Included units are passed over; without a usage charge it is the amount due at signing.
    """
    prices = [_first_price(charge, plan.per) for charge in plan.charges]
    usage = [price for price in prices if price is not None]
    if usage and sum(usage) > 0:
        return sum(usage, ZERO)
    return sum(
        (charge.amount.money.major() for charge in plan.charges if isinstance(charge, Fixed)), ZERO
    )


def can_cost(plan: Plan) -> bool:
    """Whether anything in the plan could ever cost something."""
    return any(_can_cost(charge) for charge in plan.charges)


def _can_cost(charge: Charge) -> bool:
    match charge:
        case Fixed(amount=amount) | Minimum(amount=amount) | Package(price=amount):
            return amount.amount_minor > 0
        case PerUnit(unit_price=price):
            return price.major > 0
        case Graduated(tiers=tiers) | Volume(tiers=tiers):
            return any(
                tier.unit_price.major > 0 or (tier.flat is not None and tier.flat.amount_minor > 0)
                for tier in tiers
            )
        case Included(then=then):
            return _can_cost(then)
        case Free() | Cap():
            return False


def _line(plan: Plan, place: int, charge: Charge, units: int) -> Line:
    included = 0
    model = str(charge.__struct_config__.tag)
    if isinstance(charge, Included):
        included = min(units, charge.units)
        charge = charge.then
    tiers: tuple[TierUse, ...] = ()
    match charge:
        case Fixed(amount=amount):
            return Line(place, model, 0, 0, amount.money)
        case PerUnit() | Package() | Graduated() | Volume():
            exact, tiers = _usage(charge, units - included, plan.per)
        case _:
            exact = ZERO
    return Line(place, model, units, included, round_to_minor(exact, plan.money), tiers)


def _usage(charge: UsageCharge, units: int, per: int) -> tuple[Decimal, tuple[TierUse, ...]]:
    match charge:
        case PerUnit(unit_price=price):
            return _times(units, price.major, per), ()
        case Package(size=size, price=amount):
            return EXACT.multiply(Decimal(-(-units // size)), amount.money.major()), ()
        case Graduated(tiers=tiers, flat_at_zero=flat_at_zero):
            return _graduated(units, tiers, flat_at_zero, per)
        case Volume(tiers=tiers, flat_at_zero=flat_at_zero):
            return _volume(units, tiers, flat_at_zero, per)


def _graduated(
    units: int, tiers: Sequence[Tier], flat_at_zero: bool, per: int
) -> tuple[Decimal, tuple[TierUse, ...]]:
    """Σ over the tiers of the units inside each; divided by `per` once, so that it stays exact."""
    priced, flats, below = ZERO, ZERO, 0
    used: list[TierUse] = []
    for number, tier in enumerate(tiers):
        top = units if tier.up_to is None else min(units, tier.up_to)
        inside = max(0, top - below)
        due = inside > 0 or (number == 0 and flat_at_zero)
        if due:
            use = _tier_use(tier, inside)
            used.append(use)
            priced = EXACT.add(priced, EXACT.multiply(Decimal(inside), tier.unit_price.major))
            flats = EXACT.add(flats, use.flat.major())
        below = tier.up_to or below
    return EXACT.add(EXACT.divide(priced, Decimal(per)), flats), tuple(used)


def _volume(
    units: int, tiers: Sequence[Tier], flat_at_zero: bool, per: int
) -> tuple[Decimal, tuple[TierUse, ...]]:
    if units == 0 and not flat_at_zero:
        return ZERO, ()
    tier = next(tier for tier in tiers if tier.up_to is None or units <= tier.up_to)
    use = _tier_use(tier, units)
    return EXACT.add(_times(units, tier.unit_price.major, per), use.flat.major()), (use,)


def _tier_use(tier: Tier, units: int) -> TierUse:
    currency = Currency(tier.unit_price.currency)
    flat = Money(0, currency) if tier.flat is None else tier.flat.money
    return TierUse(units, tier.unit_price.amount, flat)


def _times(units: int, price: Decimal, per: int) -> Decimal:
    return EXACT.divide(EXACT.multiply(Decimal(units), price), Decimal(per))


def _bounding_lines(plan: Plan, lines: Sequence[Line]) -> list[Line]:
    """The true-up line of a minimum and the credit line of a cap; a zero line when it is met."""
    usage = total(
        (line.amount for line in lines if not isinstance(plan.charges[line.charge], Fixed)),
        plan.money,
    )
    bounds: list[Line] = []
    for place, charge in enumerate(plan.charges):
        if isinstance(charge, Minimum):
            missing = max(0, charge.amount.amount_minor - usage.minor)
            bounds.append(Line(place, "minimum", 0, 0, Money(missing, plan.money)))
        elif isinstance(charge, Cap):
            excess = max(0, usage.minor - charge.amount.amount_minor)
            bounds.append(Line(place, "cap", 0, 0, Money(-excess, plan.money)))
    return bounds


def _first_price(charge: Charge, per: int) -> Decimal | None:
    match charge:
        case Included(then=then):
            return _first_price(then, per)
        case PerUnit(unit_price=price):
            return EXACT.divide(price.major, Decimal(per))
        case Package(size=size, price=amount):
            return EXACT.divide(amount.money.major(), Decimal(size))
        case Graduated(tiers=tiers) | Volume(tiers=tiers):
            return EXACT.divide(tiers[0].unit_price.major, Decimal(per))
        case Free() | Fixed() | Minimum() | Cap():
            return None
