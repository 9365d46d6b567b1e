"""What a month comes to, line by line, and that no unit is missing from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.billing.invoices.lines import carry_over, charge_lines, describe
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
    Volume,
)
from app.listings.plans import Plan
from app.listings.prices import rate_plan
from tests.billing.sales import plan_of, prices_of


def price(amount: str) -> UnitPrice:
    return UnitPrice(amount, "CNY")


def yuan(minor: int) -> Amount:
    return Amount(minor, "CNY")


TIERS = (Tier(100, price("1.00")), Tier(1000, price("0.80")), Tier(None, price("0.50")))
PER_CALL = PerUnit(price("0.0125"))
GRADUATED = Graduated(TIERS)

Row = tuple[str, int, int]


def rows(plan: Plan, units: int, *, first: bool = False) -> list[Row]:
    lines = charge_lines(plan, units, first=first)
    return [(line.kind.value, line.units, line.amount.minor) for line in lines]


@pytest.mark.parametrize(
    ("charges", "units", "expected"),
    [
        ([PER_CALL], 37, [("usage", 37, 46)]),
        ([PER_CALL], 38, [("usage", 38, 48)]),
        ([PER_CALL], 30, [("usage", 30, 38)]),
        ([PER_CALL], 10, [("usage", 10, 12)]),
        ([PER_CALL], 0, []),
        ([GRADUATED], 1_500, [("usage", 1_500, 1_070_00)]),
        ([Volume(TIERS)], 1_500, [("usage", 1_500, 750_00)]),
        ([Package(1_000, yuan(8_00))], 1_001, [("usage", 1_001, 16_00)]),
        ([Free()], 7, [("free", 7, 0)]),
        ([Included(100, PER_CALL)], 60, [("included", 60, 0)]),
        ([Included(100, PER_CALL)], 138, [("included", 100, 0), ("usage", 38, 48)]),
        ([Included(100, GRADUATED)], 201, [("included", 100, 0), ("usage", 101, 100_80)]),
        ([Fixed(yuan(500)), PER_CALL], 10, [("usage", 10, 12)]),
        ([PER_CALL, Minimum(yuan(100))], 10, [("usage", 10, 12), ("minimum", 0, 88)]),
        ([PER_CALL, Minimum(yuan(100))], 0, [("minimum", 0, 100)]),
        ([GRADUATED, Cap(yuan(50_00))], 101, [("usage", 101, 100_80), ("cap", 0, -50_80)]),
    ],
)
def test_a_month_has_these_lines(charges: list[Charge], units: int, expected: list[Row]) -> None:
    assert rows(plan_of(*charges), units) == expected


def test_what_is_due_once_is_due_in_the_first_month_only() -> None:
    plan = plan_of(Fixed(yuan(500)), PER_CALL)
    assert rows(plan, 0, first=True) == [("fixed", 0, 500)]
    assert rows(plan, 0) == []


charges = st.sampled_from(
    [PER_CALL, GRADUATED, Volume(TIERS), Package(7, yuan(8_00)), Free(), Included(5, GRADUATED)]
)


@given(st.lists(charges, min_size=1, max_size=3), st.integers(0, 10_000))
def test_each_charge_shows_every_unit_and_the_lines_are_what_rating_says(
    chosen: list[Charge], units: int
) -> None:
    plan = plan_of(*chosen)
    lines = charge_lines(plan, units, first=False)
    for place in range(len(chosen)):
        assert sum(line.units for line in lines if line.charge == place) == units
    rated = rate_plan(plan, units)
    assert sum(line.amount.minor for line in lines) == sum(line.amount.minor for line in rated)


def test_a_line_tells_the_tiers_it_was_priced_by() -> None:
    (line,) = charge_lines(plan_of(GRADUATED), 101, first=False)
    assert line.tiers == (
        {"units": 100, "unit_price": "1.00", "flat_minor": 0},
        {"units": 1, "unit_price": "0.80", "flat_minor": 0},
    )


def test_a_line_names_what_was_sold_and_how_much() -> None:
    prices = prices_of(plan_of(GRADUATED))
    (line,) = charge_lines(prices.plan, 1_500, first=False)
    assert describe(prices, line) == "世界各国GDP · 标准 · 使用费 use, 1,500 × call"


@pytest.mark.parametrize(
    ("carried", "units", "rated", "after"),
    [(0, 5, 5, 0), (0, 0, 0, 0), (0, -2, 0, -2), (-2, 5, 3, 0), (-2, 1, 0, -1), (-2, 2, 0, 0)],
)
def test_what_was_given_back_counts_against_use_and_is_never_lost(
    carried: int, units: int, rated: int, after: int
) -> None:
    assert carry_over(carried, units) == (rated, after)
