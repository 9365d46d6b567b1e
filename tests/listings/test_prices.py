"""What units cost: every worked number of billing-rules.md, published examples, and properties."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.money import CNY, Currency, Money
from app.listings.charges import (
    Amount,
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
    UnitPrice,
    UsageCharge,
    Volume,
)
from app.listings.plans import Meter, Plan
from app.listings.prices import headline_price, quote, rate_plan, rate_units

EXAMPLES = json.loads(
    (Path(__file__).parents[1] / "data" / "pricing_examples.json").read_text("utf-8")
)


def price(text: str, currency: str = "CNY") -> UnitPrice:
    return UnitPrice(text, currency)


def amount(minor: int, currency: str = "CNY") -> Amount:
    return Amount(minor, currency)


def tiers(*steps: tuple[int | None, str]) -> tuple[Tier, ...]:
    return tuple(Tier(up_to, price(text)) for up_to, text in steps)


def plan(*charges: Charge, currency: str = "CNY", per: int = 1) -> Plan:
    return Plan(name="standard", currency=currency, charges=charges, per=per)


def cost(charge: Charge, units: int, *, per: int = 1) -> int:
    """The minor units of a plan with this one charge."""
    return quote(plan(charge, per=per), units).total.minor


WORKED_TIERS = tiers((100, "1.00"), (1000, "0.80"), (None, "0.50"))

WORKED = [
    (Graduated(WORKED_TIERS), 100, 100_00),
    (Graduated(WORKED_TIERS), 101, 100_80),
    (Graduated(WORKED_TIERS), 1500, 1070_00),
    (Volume(WORKED_TIERS), 100, 100_00),
    (Volume(WORKED_TIERS), 101, 80_80),
    (Volume(WORKED_TIERS), 1500, 750_00),
    (Package(1000, amount(800)), 0, 0),
    (Package(1000, amount(800)), 1, 8_00),
    (Package(1000, amount(800)), 1000, 8_00),
    (Package(1000, amount(800)), 1001, 16_00),
    (PerUnit(price("0.0125")), 37, 46),
    (PerUnit(price("0.0125")), 38, 48),
    (PerUnit(price("0.0125")), 30, 38),
    (PerUnit(price("0.0125")), 10, 12),
]


@pytest.mark.parametrize(("charge", "units", "minor"), WORKED)
def test_the_worked_numbers_of_the_billing_rules_come_out(
    charge: Charge, units: int, minor: int
) -> None:
    assert cost(charge, units) == minor


@pytest.mark.parametrize(
    ("units", "minor"), [(100, 100_00), (101, 100_80), (1500, 1070_00), (0, 0)]
)
def test_units_are_rated_through_graduated_tiers(units: int, minor: int) -> None:
    assert rate_units(units, WORKED_TIERS, CNY) == Money(minor, CNY)


def example_charge(example: dict[str, Any]) -> Charge | None:
    """The charge of a published example; None for models that are not a function of units."""
    params = example["params"]
    currency = params.get("currency", "USD")
    match example["model"]:
        case "unit":
            return PerUnit(price(params["unit"], currency))
        case "package":
            package = Package(
                int(params["package_size"]), amount(minor(params["package_price"]), currency)
            )
            free = int(params["free_units"])
            return Included(free, package) if free else package
        case "volume" | "graduated" as model:
            steps = tuple(example_tier(tier, currency) for tier in params["tiers"])
            return Volume(steps) if model == "volume" else Graduated(steps)
        case _:
            return None


def example_tier(tier: dict[str, Any], currency: str) -> Tier:
    up_to = None if tier["up_to"] is None else int(tier["up_to"])
    flat = amount(minor(tier["flat"]), currency) if "flat" in tier else None
    return Tier(up_to, price(tier["unit"], currency), flat)


def minor(major: str) -> int:
    return int(Decimal(major) * 100)


APPLICABLE = [example for example in EXAMPLES if example_charge(example) is not None]


def test_all_but_the_models_that_ask_for_more_than_units_are_applicable() -> None:
    left_out = {example["model"] for example in EXAMPLES if example_charge(example) is None}
    assert left_out == {
        "percentage_event",
        "graduated_percentage_delta",
        "proration_upgrade",
        "min_commitment_true_up",  # a test of its own below
    }
    assert len(APPLICABLE) == 17


@pytest.mark.parametrize("example", APPLICABLE, ids=lambda example: f"example-{example['id']}")
def test_published_examples_come_out(example: dict[str, Any]) -> None:
    charge = example_charge(example)
    assert charge is not None
    currency = example["params"].get("currency", "USD")
    rated = quote(plan(charge, currency=currency), int(example["usage"]))
    assert rated.total == Money(minor(example["expected"]), Currency(currency))


def test_a_minimum_is_reached_by_a_line_of_its_own() -> None:
    example = next(e for e in EXAMPLES if e["model"] == "min_commitment_true_up")
    floor = Minimum(amount(minor(example["params"]["minimum"])))
    lines = rate_plan(plan(PerUnit(price("1")), floor), int(example["usage"]))
    assert [(line.model, line.amount.minor) for line in lines] == [
        ("per_unit", 50_00),
        ("minimum", minor(example["expected"])),
    ]


@pytest.mark.parametrize(("units", "true_up"), [(0, 100_00), (99, 1_00), (100, 0), (101, 0)])
def test_a_minimum_never_takes_more_than_what_is_missing(units: int, true_up: int) -> None:
    lines = rate_plan(plan(PerUnit(price("1")), Minimum(amount(100_00))), units)
    assert lines[-1].amount.minor == true_up


@pytest.mark.parametrize(
    ("units", "credit", "total"),
    [(0, 0, 0), (100, 0, 100_00), (101, -1_00, 100_00), (5000, -4900_00, 100_00)],
)
def test_a_cap_is_kept_by_a_credit_line(units: int, credit: int, total: int) -> None:
    rated = quote(plan(PerUnit(price("1")), Cap(amount(100_00))), units)
    assert rated.lines[-1].amount.minor == credit
    assert rated.total.minor == total


def test_what_is_due_once_counts_neither_for_the_minimum_nor_for_the_cap() -> None:
    both = plan(
        Fixed(amount(500_00)),
        PerUnit(price("1")),
        Minimum(amount(10_00)),
        Cap(amount(20_00)),
    )
    assert quote(both, 5, first=True).total.minor == 510_00
    assert quote(both, 50, first=True).total.minor == 520_00
    assert quote(both, 50, first=False).total.minor == 20_00


def test_a_fixed_charge_is_due_at_signing_and_never_again() -> None:
    fixed = plan(Fixed(amount(300_00)))
    assert quote(fixed, 7).total.minor == 300_00
    assert rate_plan(fixed, 7) == ()


def test_what_is_free_is_still_a_line() -> None:
    (line,) = rate_plan(plan(Free()), 12)
    assert (line.model, line.units, line.amount.minor) == ("free", 12, 0)


@pytest.mark.parametrize(
    ("units", "included", "minor"),
    [(0, 0, 0), (99, 99, 0), (100, 100, 0), (101, 100, 1), (300, 100, 2_00)],
)
def test_included_units_are_free_and_shown(units: int, included: int, minor: int) -> None:
    (line,) = rate_plan(plan(Included(100, PerUnit(price("0.01")))), units)
    assert (line.model, line.units, line.included_units) == ("included", units, included)
    assert line.amount.minor == minor


def test_included_units_come_before_the_first_tier() -> None:
    assert cost(Included(10, Graduated(WORKED_TIERS)), 111) == 100_80


FLAT_TIERS = (
    Tier(10, price("0"), amount(100)),
    Tier(20, price("1"), amount(200)),
    Tier(None, price("2")),
)


@pytest.mark.parametrize(
    ("units", "minor"), [(0, 0), (1, 1_00), (10, 1_00), (11, 4_00), (20, 13_00), (21, 15_00)]
)
def test_a_flat_is_due_when_the_first_unit_of_its_tier_is_used(units: int, minor: int) -> None:
    assert cost(Graduated(FLAT_TIERS), units) == minor


def test_with_flat_at_zero_the_first_flat_is_due_without_use() -> None:
    assert cost(Graduated(FLAT_TIERS, flat_at_zero=True), 0) == 1_00
    assert cost(Graduated(FLAT_TIERS, flat_at_zero=True), 11) == 4_00
    assert cost(Volume(FLAT_TIERS), 0) == 0
    assert cost(Volume(FLAT_TIERS, flat_at_zero=True), 0) == 1_00


@pytest.mark.parametrize(
    ("units", "minor"), [(1, 0), (499, 4), (500, 4), (1500, 12), (1000, 8), (1_000_000, 80_00)]
)
def test_prices_may_be_per_a_thousand_units_and_are_rounded_once(units: int, minor: int) -> None:
    assert cost(PerUnit(price("0.08")), units, per=1000) == minor
    assert cost(Graduated(tiers((None, "0.08"))), units, per=1000) == minor
    assert cost(Volume(tiers((None, "0.08"))), units, per=1000) == minor


def test_flats_and_packages_are_not_divided_by_per() -> None:
    steps = (Tier(None, price("1"), amount(300)),)
    assert cost(Graduated(steps), 1024, per=1024) == 4_00
    assert cost(Volume(steps), 1024, per=1024) == 4_00
    assert cost(Package(10, amount(5_00)), 11, per=1000) == 10_00


def test_a_line_tells_what_each_tier_priced() -> None:
    (line,) = rate_plan(plan(Graduated(WORKED_TIERS)), 150)
    assert [(use.units, use.unit_price) for use in line.tiers] == [(100, "1.00"), (50, "0.80")]


@pytest.mark.parametrize(
    ("currency", "minor"), [("JPY", 2), ("KRW", 2), ("BHD", 1_500), ("CNY", 1_50)]
)
def test_each_currency_is_rounded_to_its_own_minor_unit(currency: str, minor: int) -> None:
    rated = quote(plan(PerUnit(price("0.5", currency)), currency=currency), 3)
    assert rated.total == Money(minor, Currency(currency))


def test_the_largest_numbers_stay_exact() -> None:
    top = 2**53 - 1
    exact = Fraction(top) * Fraction("999999999.999999999999") * 100
    assert cost(PerUnit(price("999999999.999999999999")), top) == round(exact)
    assert round(exact) == 900719925474099099999099280


@pytest.mark.parametrize(
    ("charges", "per", "headline"),
    [
        ((Free(),), 1, "0"),
        ((PerUnit(price("0.0125")),), 1, "0.0125"),
        ((PerUnit(price("0.08")),), 1000, "0.00008"),
        ((Included(100, PerUnit(price("0.02"))),), 1, "0.02"),
        ((Package(1000, amount(8_00)),), 1, "0.008"),
        ((Graduated(WORKED_TIERS),), 1, "1.00"),
        ((Fixed(amount(300_00)), PerUnit(price("0.5"))), 1, "0.5"),
        ((Fixed(amount(300_00)), Free()), 1, "300.00"),
    ],
)
def test_a_catalogue_shows_the_first_paid_unit(
    charges: tuple[Charge, ...], per: int, headline: str
) -> None:
    assert headline_price(plan(*charges, per=per)) == Decimal(headline)


# Properties

PRICES = st.decimals("0", "1000", places=6).map(lambda d: price(format(d, "f")))
FLATS = st.none() | st.integers(0, 10_000).map(amount)


@st.composite
def tier_lists(draw: st.DrawFn, *, flats: bool = True) -> tuple[Tier, ...]:
    ends = sorted(draw(st.sets(st.integers(1, 2000), max_size=5)))
    return tuple(Tier(end, draw(PRICES), draw(FLATS) if flats else None) for end in (*ends, None))


USAGE: st.SearchStrategy[UsageCharge] = st.one_of(
    st.builds(PerUnit, PRICES),
    st.builds(Package, st.integers(1, 500), st.integers(0, 10_000).map(amount)),
    st.builds(Graduated, tier_lists(), st.booleans()),
)
MONOTONE: st.SearchStrategy[Charge] = st.one_of(
    USAGE, st.builds(Included, st.integers(1, 1000), USAGE), st.builds(Free)
)
UNITS = st.integers(0, 5000)


@given(MONOTONE, UNITS, UNITS, st.sampled_from([1, 3, 1000, 2**20]))
def test_more_units_never_cost_less(charge: Charge, one: int, other: int, per: int) -> None:
    fewer, more = sorted((one, other))
    assert 0 <= cost(charge, fewer, per=per) <= cost(charge, more, per=per)


@given(tier_lists(), UNITS, st.booleans())
def test_the_tiers_add_up_to_the_line(
    steps: tuple[Tier, ...], units: int, flat_at_zero: bool
) -> None:
    (line,) = rate_plan(plan(Graduated(steps, flat_at_zero=flat_at_zero)), units)
    assert sum(use.units for use in line.tiers) == units
    exact = sum(
        (use.units * Decimal(use.unit_price) + use.flat.major() for use in line.tiers), Decimal(0)
    )
    assert abs(exact - line.amount.major()) <= Decimal("0.005")


@given(tier_lists(flats=False), UNITS)
def test_one_price_in_all_tiers_is_the_same_as_no_tiers(
    steps: tuple[Tier, ...], units: int
) -> None:
    one = steps[0].unit_price
    flattened = tuple(Tier(tier.up_to, one) for tier in steps)
    assert cost(Graduated(flattened), units) == cost(PerUnit(one), units)
    assert cost(Volume(flattened), units) == cost(PerUnit(one), units)


@given(MONOTONE, UNITS, st.integers(0, 100_000), st.integers(0, 100_000))
def test_minimum_and_cap_hold_whatever_is_used(
    charge: Charge, units: int, one: int, other: int
) -> None:
    low, high = sorted((one, other))
    bounded = plan(charge, Minimum(amount(low)), Cap(amount(high)))
    assert low <= quote(bounded, units).total.minor <= high


@given(st.lists(MONOTONE, min_size=1, max_size=4), UNITS)
def test_a_quote_is_the_sum_of_its_lines_and_the_same_each_time(
    charges: list[Charge], units: int
) -> None:
    rated = quote(plan(*charges), units)
    assert sum(line.amount.minor for line in rated.lines) == rated.total.minor
    assert rated == quote(plan(*charges), units)
    assert [line.charge for line in rated.lines] == list(range(len(charges)))


def test_negative_units_are_a_bug() -> None:
    with pytest.raises(ValueError, match="negative"):
        rate_plan(plan(Free()), -1)


def test_a_plan_counts_calls_unless_it_says_otherwise() -> None:
    assert plan(Free()).meter is Meter.CALL
