"""Charges: the charge models of a plan, as values that cannot be wrong.

One definition serves the API, the database and the signed terms. Unit prices are decimal text in
major units with up to 12 places, amounts are integer minor units; a value that breaks a rule of
billing-rules.md cannot be made: `PlanRefused` says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from app.kernel.canonical import MAX_INTEGER
from app.kernel.money import Currency, Money, MoneyError, currency_of
from app.listings.errors import PlanRefused

MAX_TIERS = 50
PRICE_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?(?!\n)$"

# The bounds stand in the API's document, but are checked when the value is made (422, not 400).
PriceText = Annotated[
    str,
    Meta(max_length=40, examples=["0.0125"], extra_json_schema={"pattern": PRICE_PATTERN}),
]
CurrencyCode = Annotated[str, Meta(max_length=3, examples=["CNY"])]
Units = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_INTEGER})]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_INTEGER})]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a plan: compared by value, read strictly, never changed."""


class UnitPrice(Value, frozen=True):
    """The price of one unit (or of `per` units) in major units, exactly."""

    amount: PriceText
    currency: CurrencyCode

    def __post_init__(self) -> None:
        check_currency(self.currency)
        if not re.fullmatch(PRICE_PATTERN, self.amount, re.ASCII):
            raise PlanRefused(
                f"A unit price is decimal text from 0 below 10^9 with up to 12 places, not "
                f"{self.amount!r}.",
                rule="price",
            )

    @property
    def major(self) -> Decimal:
        """The price as a number."""
        return Decimal(self.amount)


class Amount(Value, frozen=True):
    """An amount of money in minor units."""

    amount_minor: Units
    currency: CurrencyCode

    def __post_init__(self) -> None:
        check_currency(self.currency)
        _check_count(self.amount_minor, 0, "amount_minor")

    @property
    def money(self) -> Money:
        """The amount as money."""
        return Money(self.amount_minor, Currency(self.currency))


class Tier(Value, frozen=True):
    """Units up to and including `up_to` (null: all the rest), their price, and maybe a flat fee."""

    up_to: Count | None
    unit_price: UnitPrice
    flat: Amount | None = None


Tiers = Annotated[tuple[Tier, ...], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_TIERS})]


class Free(Value, frozen=True, tag_field="model", tag="free"):
    """Costs nothing; still metered and shown."""


class Fixed(Value, frozen=True, tag_field="model", tag="fixed"):
    """Once, at signing."""

    amount: Amount


class PerUnit(Value, frozen=True, tag_field="model", tag="per_unit"):
    """Units × price."""

    unit_price: UnitPrice


class Package(Value, frozen=True, tag_field="model", tag="package"):
    """Each begun package of `size` units costs `price`."""

    size: Count
    price: Amount

    def __post_init__(self) -> None:
        _check_count(self.size, 1, "size")


class Graduated(Value, frozen=True, tag_field="model", tag="graduated"):
    """Each tier prices only the units inside it; its flat is due when its first unit is used."""

    tiers: Tiers
    flat_at_zero: bool = False

    def __post_init__(self) -> None:
        check_tiers(self.tiers)


class Volume(Value, frozen=True, tag_field="model", tag="volume"):
    """The tier that is reached prices all units."""

    tiers: Tiers
    flat_at_zero: bool = False

    def __post_init__(self) -> None:
        check_tiers(self.tiers)


UsageCharge = PerUnit | Package | Graduated | Volume


class Included(Value, frozen=True, tag_field="model", tag="included"):
    """The first `units` of each period are free, the rest cost what `then` says."""

    units: Count
    then: UsageCharge

    def __post_init__(self) -> None:
        _check_count(self.units, 1, "units")


class Minimum(Value, frozen=True, tag_field="model", tag="minimum"):
    """A commitment per period: a line tops the period's usage charges up to it."""

    amount: Amount


class Cap(Value, frozen=True, tag_field="model", tag="cap"):
    """A maximum per period: a credit line takes the period's usage charges down to it."""

    amount: Amount


Charge = Free | Fixed | PerUnit | Package | Graduated | Volume | Included | Minimum | Cap


def check_tiers(tiers: tuple[Tier, ...]) -> None:
    """Refuse tiers that overlap, leave units without a price, or mix currencies."""
    if not 1 <= len(tiers) <= MAX_TIERS:
        raise PlanRefused(f"There are 1 to {MAX_TIERS} tiers.", rule="tier-count")
    if tiers[-1].up_to is not None:
        raise PlanRefused(
            "The last tier has no end: its `up_to` is null.", rule="last-tier-missing"
        )
    last = 0
    for number, tier in enumerate(tiers[:-1], start=1):
        if tier.up_to is None:
            raise PlanRefused(
                f"Tier {number} has no end, but is not the last.", rule="tiers-overlap"
            )
        if tier.up_to <= last:
            raise PlanRefused(
                f"Tier {number} ends at {tier.up_to}, but begins after {last}.",
                rule="tiers-overlap",
            )
        _check_count(tier.up_to, 1, "up_to")
        last = tier.up_to
    if len(set(_tier_currencies(tiers))) > 1:
        raise PlanRefused("The tiers are not in one currency.", rule="mixed-currencies")


def currencies_of(charge: Charge) -> frozenset[str]:
    """The currencies that the amounts of a charge are in; none for `free`."""
    match charge:
        case Free():
            return frozenset()
        case Fixed(amount=amount) | Minimum(amount=amount) | Cap(amount=amount):
            return frozenset({amount.currency})
        case PerUnit(unit_price=price):
            return frozenset({price.currency})
        case Package(price=amount):
            return frozenset({amount.currency})
        case Graduated(tiers=tiers) | Volume(tiers=tiers):
            return frozenset(_tier_currencies(tiers))
        case Included(then=then):
            return currencies_of(then)


def _tier_currencies(tiers: tuple[Tier, ...]) -> Iterator[str]:
    for tier in tiers:
        yield tier.unit_price.currency
        if tier.flat is not None:
            yield tier.flat.currency


def check_currency(code: str) -> None:
    """Refuse a currency that is not traded."""
    try:
        currency_of(code)
    except MoneyError as error:
        raise PlanRefused(f"Currency {code!r} is not traded here.", rule="currency") from error


def _check_count(value: int, least: int, name: str) -> None:
    if not least <= value <= MAX_INTEGER:
        raise PlanRefused(f"`{name}` is a whole number from {least} below 2^53.", rule=name)
