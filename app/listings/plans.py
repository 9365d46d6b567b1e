"""Plans: a price, its meter and its quotas, as one document that is frozen into signed terms.

A plan is never changed: a new price is a new plan with the next number. `plan_document` and
`plan_from_document` are exact inverses: prices stay decimal text, amounts integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.kernel.canonical import MAX_INTEGER
from app.kernel.money import CNY, Currency
from app.listings.charges import (
    Amount,
    Cap,
    Charge,
    Count,
    Minimum,
    Units,
    Value,
    check_currency,
    currencies_of,
)
from app.listings.errors import PlanRefused
from app.listings.spending import never_falls, usage_cost

MAX_CHARGES = 20
MAX_QUOTAS = 10
MAX_PER = 2**40
MAX_PER_SECOND = 100_000
MAX_TRIAL_DAYS = 3660


class Meter(StrEnum):
    """What one unit is."""

    CALL = "call"
    ROW = "row"
    BYTE = "byte"
    ITEM = "item"
    """Whatever the two sides agree on; only who delivers it can count it."""


class WindowKind(StrEnum):
    """How long a quota's counter runs: a calendar span in Asia/Shanghai, or the whole contract."""

    CONTRACT = "contract"
    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Overage(StrEnum):
    """What happens beyond the limit: refuse the call, or serve and bill it."""

    BLOCK = "block"
    CHARGE = "charge"


class CarryOver(Value, frozen=True):
    """What a window leaves is granted in the next: `max_units` at most, `min_units` at least."""

    max_units: Count
    min_units: Units = 0

    def __post_init__(self) -> None:
        if not 0 <= self.min_units <= self.max_units <= MAX_INTEGER or self.max_units == 0:
            raise PlanRefused(
                "At least 1 unit is carried over at most, and no more at least than at most.",
                rule="carry-over",
            )


class Quota(Value, frozen=True):
    """At most `limit_units` per window; null only counts.

    `spend_cap` blocks a month of charged overage before its usage charges come to more, without
    tax. It is in the plan's currency.
    """

    window: WindowKind
    limit_units: Count | None = None
    overage: Overage = Overage.BLOCK
    spend_cap: Amount | None = None
    carry_over: CarryOver | None = None

    def __post_init__(self) -> None:
        if self.limit_units is not None and not 0 <= self.limit_units <= MAX_INTEGER:
            raise PlanRefused("A limit is a whole number from 0 below 2^53.", rule="limit_units")
        if self.spend_cap is not None and (
            self.overage is not Overage.CHARGE or self.window is not WindowKind.MONTH
        ):
            # Prices begin anew with each invoice: only for its month is a number of units a price.
            raise PlanRefused(
                "A spend cap is for the overage of a month that is charged.", rule="spend-cap"
            )
        if self.carry_over is not None and (
            self.limit_units is None or self.window is WindowKind.CONTRACT
        ):
            raise PlanRefused(
                "Units are carried over from a limited day, month, quarter or year.",
                rule="carry-over",
            )


class Trial(Value, frozen=True):
    """Units that come with the contract and are free: for so many days, or for its whole life."""

    units: Count
    days: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.units <= MAX_INTEGER:
            raise PlanRefused("A trial is of 1 unit at least, below 2^53.", rule="trial")
        if self.days is not None and not 1 <= self.days <= MAX_TRIAL_DAYS:
            raise PlanRefused(f"A trial is for 1 to {MAX_TRIAL_DAYS} days.", rule="trial")


class Rate(Value, frozen=True):
    """How fast calls may come: steadily, and in one burst."""

    per_second: int
    burst: int

    def __post_init__(self) -> None:
        if not (1 <= self.per_second <= MAX_PER_SECOND and 1 <= self.burst <= MAX_PER_SECOND):
            raise PlanRefused(
                f"A rate is 1 to {MAX_PER_SECOND} per second, its burst likewise.", rule="rate"
            )


class Plan(Value, frozen=True, kw_only=True):
    """What use costs: every charge in one currency; prices are per `per` units of the meter."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    currency: str
    meter: Meter = Meter.CALL
    per: int = 1
    charges: tuple[Charge, ...]
    quotas: tuple[Quota, ...] = ()
    rate: Rate | None = None
    billable_statuses: tuple[int, ...] | None = None
    trial: Trial | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency)
        _check_charges(self.charges, self.currency)
        _check_quotas(self.quotas)
        _check_statuses(self.billable_statuses)
        if not 1 <= self.per <= MAX_PER:
            raise PlanRefused("Prices are per 1 to 2^40 units.", rule="per")
        for quota in self.quotas:
            if quota.spend_cap is not None:
                _check_spend_cap(self, quota.spend_cap)

    @property
    def money(self) -> Currency:
        """The currency of every amount in it."""
        return Currency(self.currency)


def currency_for(charges: Sequence[Charge], stated: str | None) -> str:
    """The one currency of `charges`; a plan without any amount is in `stated`, or CNY."""
    found = sorted(set().union(*(currencies_of(charge) for charge in charges)))
    if len(found) > 1:
        raise PlanRefused("The charges are not in one currency.", rule="mixed-currencies")
    return found[0] if found else (stated or CNY)


def grants_units(plan: Plan) -> bool:
    """Whether units come with the plan beside its quotas."""
    carries = any(quota.carry_over is not None for quota in plan.quotas)
    return carries or plan.trial is not None


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON values: text, whole numbers, no floats."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(plan))
    return document


def plan_from_document(document: Mapping[str, Any]) -> Plan:
    """The plan that `plan_document` wrote; anything else is `msgspec.ValidationError`."""
    return msgspec.convert(document, Plan)


def _check_charges(charges: tuple[Charge, ...], currency: str) -> None:
    if not 1 <= len(charges) <= MAX_CHARGES:
        raise PlanRefused(f"A plan has 1 to {MAX_CHARGES} charges.", rule="charge-count")
    if currency_for(charges, currency) != currency:
        raise PlanRefused(f"The charges are not in {currency}.", rule="mixed-currencies")
    bounds = [charge for charge in charges if isinstance(charge, Minimum | Cap)]
    if len(bounds) == len(charges):
        raise PlanRefused("A minimum or cap needs a charge to bound.", rule="nothing-to-bound")
    if any(count > 1 for count in Counter(type(bound) for bound in bounds).values()):
        raise PlanRefused("A plan has one minimum and one cap at most.", rule="bounds-repeated")
    amounts = {type(bound): bound.amount.amount_minor for bound in bounds}
    if amounts.get(Minimum, 0) > amounts.get(Cap, MAX_INTEGER):
        raise PlanRefused("The minimum is above the cap.", rule="minimum-above-cap")


def _check_quotas(quotas: tuple[Quota, ...]) -> None:
    if len(quotas) > MAX_QUOTAS:
        raise PlanRefused(f"A plan has {MAX_QUOTAS} quotas at most.", rule="quota-count")
    windows = [(quota.window, quota.overage) for quota in quotas]
    if len(set(windows)) != len(windows):
        raise PlanRefused("Two quotas have the same window and overage.", rule="quotas-repeated")


def _check_spend_cap(plan: Plan, cap: Amount) -> None:
    if cap.currency != plan.currency:
        raise PlanRefused(f"The spend cap is not in {plan.currency}.", rule="mixed-currencies")
    if not never_falls(plan):
        raise PlanRefused(
            "A spend cap needs charges that never fall as use rises.", rule="spend-cap-model"
        )
    if usage_cost(plan, 0).minor > cap.amount_minor:
        raise PlanRefused("The spend cap is below what no use costs.", rule="spend-cap-low")


def _check_statuses(statuses: tuple[int, ...] | None) -> None:
    """5xx is never billable, whatever a plan says."""
    if statuses is None:
        return
    if not statuses or list(statuses) != sorted(set(statuses)):
        raise PlanRefused("Billable statuses are ascending, each once.", rule="billable-statuses")
    if statuses[0] < 200 or statuses[-1] > 499:
        raise PlanRefused("Billable statuses are from 200 to 499.", rule="billable-statuses")
