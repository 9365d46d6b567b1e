"""Late use costs what it would have cost in time, and what is corrected away gives that back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.billing.invoices.late import LateBook, LateUse, late_uses
from app.billing.invoices.lines import ChargeLine, LineKind, charge_lines, describe
from app.listings.charges import (
    Amount,
    Cap,
    Charge,
    Fixed,
    Graduated,
    Included,
    Minimum,
    PerUnit,
    Tier,
    UnitPrice,
    Volume,
)
from app.listings.plans import Plan
from tests.billing.sales import contract_of, plan_of, prices_of


def price(amount: str) -> UnitPrice:
    return UnitPrice(amount, "CNY")


NOVEMBER, DECEMBER = "2026-11", "2026-12"
TIERS = (Tier(100, price("1.00")), Tier(1000, price("0.80")), Tier(None, price("0.50")))
PER_UNIT = PerUnit(price("1.00"))
PLENTY = 10**9
Row = tuple[int, str, int, int]


def book_of(*charges: Charge, november: int) -> LateBook:
    """A contract whose November came to so many units."""
    book = LateBook(contract_of(prices=prices_of(plan_of(*charges))))
    book.note(NOVEMBER, november, november, [])
    return book


def rows(lines: list[ChargeLine]) -> list[Row]:
    return [(line.charge, line.kind.value, line.units, line.amount.minor) for line in lines]


def come_late(book: LateBook, units: int, room_minor: int = PLENTY) -> tuple[int, list[Row]]:
    """The units priced and the lines of so many units of November."""
    (found,) = book.price({NOVEMBER: units}, room_minor)
    assert all(line.late_for == NOVEMBER for line in found.lines)
    return found.use.rated_units, rows(list(found.lines))


@pytest.mark.parametrize(
    ("charges", "november", "late", "expected"),
    [
        ([Graduated(TIERS)], 90, 20, [(0, "late", 20, 18_00)]),
        ([Graduated(TIERS)], 110, -20, [(0, "credit", 20, -18_00)]),
        ([Volume(TIERS)], 100, 1, [(0, "late", 1, -19_20)]),
        ([Included(100, PER_UNIT)], 90, 10, [(0, "late", 10, 0)]),
        ([Included(100, PER_UNIT)], 90, 30, [(0, "late", 30, 20_00)]),
        ([PER_UNIT, Minimum(Amount(100_00, "CNY"))], 30, 20,
         [(0, "late", 20, 20_00), (1, "late", 0, -20_00)]),
        ([PER_UNIT, Cap(Amount(50_00, "CNY"))], 40, 20,
         [(0, "late", 20, 20_00), (1, "late", 0, -10_00)]),
        ([PER_UNIT, Fixed(Amount(9_00, "CNY"))], 1, 1, [(0, "late", 1, 1_00)]),
    ],
)  # fmt: skip
def test_late_use_is_the_difference_that_it_makes_to_its_month(
    charges: list[Charge], november: int, late: int, expected: list[Row]
) -> None:
    assert come_late(book_of(*charges, november=november), late) == (late, expected)


def test_credits_wait_for_a_month_that_can_bear_them() -> None:
    book = book_of(PER_UNIT, november=100)
    assert come_late(book, -50, room_minor=20_50) == (-20, [(0, "credit", 20, -20_00)])
    book.note(DECEMBER, 20, 20, [LateUse(NOVEMBER, -50, -20)])
    # The next month has more room, though nothing of November came in it.
    (found,) = book.price({}, 100_00)
    assert found.use == LateUse(NOVEMBER, 0, -30)
    book.note("2027-01", 100, 100, [found.use])
    assert book.price({}, PLENTY) == []


def test_no_more_is_given_back_than_was_paid() -> None:
    book = book_of(PER_UNIT, november=10)
    assert come_late(book, -15) == (-10, [(0, "credit", 10, -10_00)])


def test_what_is_to_be_paid_makes_room_for_what_is_given_back() -> None:
    book = book_of(PER_UNIT, november=100)
    book.note(DECEMBER, 5, 5, [])
    found = book.price({NOVEMBER: -30, DECEMBER: 30}, 0)
    assert [(one.use.late_for, one.use.rated_units) for one in found] == [
        (NOVEMBER, -30),
        (DECEMBER, 30),
    ]


PLANS = st.sampled_from(
    [
        plan_of(Graduated(TIERS)),
        plan_of(Included(20, PerUnit(price("0.0125")))),
        plan_of(PER_UNIT, Minimum(Amount(100_00, "CNY"))),
        plan_of(Graduated(TIERS), Cap(Amount(500_00, "CNY"))),
        plan_of(Volume(TIERS)),
    ]
)


@given(PLANS, st.integers(0, 2_000), st.lists(st.integers(-500, 500), max_size=6))
def test_however_late_a_month_comes_to_what_its_units_cost(
    plan: Plan, november: int, late: list[int]
) -> None:
    def whole(units: int) -> int:
        return sum(line.amount.minor for line in charge_lines(plan, units, first=True))

    book = LateBook(contract_of(prices=prices_of(plan)))
    book.note(NOVEMBER, november, november, [])
    paid, priced = whole(november), november
    for month, units in enumerate(late, 1):
        for found in book.price({NOVEMBER: units}, PLENTY):
            paid += sum(line.amount.minor for line in found.lines)
            priced += found.use.rated_units
            book.note(f"2027-{month:02}", 0, 0, [found.use])
            assert late_uses([found.use.document()]) == [found.use]
        assert paid == whole(priced)
        assert priced >= 0


@given(PLANS, st.integers(0, 2_000), st.integers(-2_000, 2_000), st.integers(0, 100_000))
def test_no_late_use_takes_an_invoice_below_zero(
    plan: Plan, november: int, late: int, room_minor: int
) -> None:
    book = LateBook(contract_of(prices=prices_of(plan)))
    book.note(NOVEMBER, november, november, [])
    for found in book.price({NOVEMBER: late}, room_minor):
        assert room_minor + sum(line.amount.minor for line in found.lines) >= 0


def test_a_late_line_says_which_month_it_is_of() -> None:
    prices = prices_of(plan_of(PER_UNIT))
    (found,) = book_of(PER_UNIT, november=1).price({NOVEMBER: 2}, 0)
    (line,) = found.lines
    assert line.kind is LineKind.LATE
    assert describe(prices, line).endswith("补计 late usage of 2026-11, 2 × call")
