"""Lines: what one contract's month comes to, charge by charge. Pure.

Priced by `listings.prices` alone, from the signed terms, so that a quote, a preview and an invoice
can never differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.billing.fees import RatedAmount
from app.kernel.money import Money
from app.listings.charges import Cap, Fixed, Minimum
from app.listings.plans import Plan
from app.listings.prices import Line, rate_plan


class LineKind(StrEnum):
    """Whether a line counts paid units, units that come with the price or beside it, or none."""

    USAGE = "usage"
    INCLUDED = "included"
    GRANTED = "granted"
    FREE = "free"
    FIXED = "fixed"
    MINIMUM = "minimum"
    CAP = "cap"
    LATE = "late"
    """Units of an earlier month that came after it; what they make that month dearer by."""
    CREDIT = "credit"
    """Units of an earlier month that were corrected away, and what they give back."""


@dataclass(frozen=True, slots=True)
class SignedPrices:
    """The part of a contract's signed terms that money follows from."""

    plan_id: str
    plan: Plan
    vat_rate: Decimal
    fee_rate: Decimal
    title: str


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One line: `charge` is its place in the plan; amounts are without tax.

    `late_for` is the earlier month that the units are of, where it is one.
    """

    charge: int
    model: str
    kind: LineKind
    units: int
    amount: Money
    tiers: Sequence[dict[str, Any]]
    late_for: str | None = None


def charge_lines(
    plan: Plan, units: int, granted_units: int = 0, *, first: bool
) -> Sequence[ChargeLine]:
    """The lines of one month in which `units` were used; those of nothing are left out.

    Every charge on use shows all units: those that are included or free stand on lines of zero, and
    those beside them that burned from unit grants on one line for all charges.
    """
    charged = (
        line for rated in rate_plan(plan, units, first=first) for line in _split_included(rated)
    )
    lines = (*charged, _granted_line(plan, granted_units))
    return tuple(line for line in lines if line.units or line.amount.minor)


def rated_amounts(prices: SignedPrices, lines: Sequence[ChargeLine]) -> Iterator[RatedAmount]:
    """The lines' amounts with the rates that they are taxed and shared by."""
    for line in lines:
        yield RatedAmount(line.amount, prices.vat_rate, prices.fee_rate)


def describe(prices: SignedPrices, line: ChargeLine) -> str:
    """One line of text for people: what was sold, under which plan and charge."""
    counted = f", {line.units:,} × {prices.plan.meter.value}" if line.units else ""
    month = f" {line.late_for}" if line.late_for else ""
    return f"{prices.title} · {prices.plan.name} · {_WORDS[line.kind]}{month}{counted}"


def carry_over(carried: int, units: int) -> tuple[int, int]:
    """The units to price in a month, and what is carried on: never above zero.

    Calls of an earlier month that were given back in this one count against it; if more was given
    back than used, the rest is held in the buyer's favour for the next month.
    """
    net = carried + units
    return max(0, net), min(0, net)


def _granted_line(plan: Plan, granted_units: int) -> ChargeLine:
    """What the first charge on use would have priced; less than nothing of it costs nothing too."""
    on_use = (
        place
        for place, charge in enumerate(plan.charges)
        if not isinstance(charge, Fixed | Minimum | Cap)
    )
    kind = LineKind.GRANTED
    units, free = max(0, granted_units), Money(0, plan.money)
    return ChargeLine(next(on_use, 0), kind.value, kind, units, free, ())


def _split_included(rated: Line) -> Iterator[ChargeLine]:
    included = Money(0, rated.amount.currency)
    if rated.included_units:
        yield ChargeLine(
            rated.charge, rated.model, LineKind.INCLUDED, rated.included_units, included, ()
        )
    tiers = tuple(
        {
            "units": tier.units,
            "unit_price": tier.unit_price,
            "flat_minor": tier.flat.minor,
        }
        for tier in rated.tiers
    )
    paid = rated.units - rated.included_units
    yield ChargeLine(rated.charge, rated.model, _kind(rated), paid, rated.amount, tiers)


def _kind(rated: Line) -> LineKind:
    match rated.model:
        case "free" | "fixed" | "minimum" | "cap":
            return LineKind(rated.model)
        case _:
            return LineKind.USAGE


_WORDS = {
    LineKind.USAGE: "使用费 use",
    LineKind.INCLUDED: "包含 included",
    LineKind.GRANTED: "赠送 granted",
    LineKind.FREE: "免费 free",
    LineKind.FIXED: "一次性 once",
    LineKind.MINIMUM: "保底补足 minimum",
    LineKind.CAP: "封顶减免 cap",
    LineKind.LATE: "补计 late usage of",
    LineKind.CREDIT: "更正退减 credit for usage of",
}
