"""Money is exact: it is rounded once, half-even, and a split never loses a fen."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.money import (
    CNY,
    Currency,
    Money,
    MoneyError,
    round_to_minor,
    share_of,
    split,
    total,
)


@pytest.mark.parametrize(
    ("major", "currency", "minor"),
    [
        ("0.4625", "CNY", 46),
        ("0.475", "CNY", 48),
        ("0.375", "CNY", 38),
        ("0.125", "CNY", 12),
        ("-0.125", "CNY", -12),
        ("1070", "CNY", 107_000),
        ("2.5", "JPY", 2),
        ("3.5", "KRW", 4),
        ("1.2345", "BHD", 1234),
        ("1.2355", "BHD", 1236),
    ],
)
def test_an_amount_is_rounded_half_even_to_the_minor_unit(
    major: str, currency: str, minor: int
) -> None:
    assert round_to_minor(Decimal(major), Currency(currency)) == Money(minor, Currency(currency))


def test_rounding_is_exact_beyond_the_default_decimal_context() -> None:
    units, price = Decimal(9_223_372_036_854_775_807), Decimal("0.000000000001")
    from app.kernel.money import EXACT

    assert round_to_minor(EXACT.multiply(units, price), CNY).minor == 922_337_204


@pytest.mark.parametrize("bad", [Decimal("NaN"), Decimal("Infinity")])
def test_what_is_not_a_number_is_no_amount(bad: Decimal) -> None:
    with pytest.raises(MoneyError):
        round_to_minor(bad, CNY)


def test_currencies_do_not_mix_and_minor_units_are_integers() -> None:
    with pytest.raises(MoneyError):
        Money(1, CNY) + Money(1, Currency("JPY"))
    with pytest.raises(MoneyError):
        Money(1, Currency("XXX"))
    for minor in (1.0, True, "1"):
        with pytest.raises(MoneyError):
            Money(minor, CNY)


def test_the_alliance_fee_of_the_worked_example() -> None:
    assert split(Money(10_000, CNY), [925, 75]) == [Money(9250, CNY), Money(750, CNY)]
    assert split(Money(1, CNY), [925, 75]) == [Money(1, CNY), Money(0, CNY)]
    assert split(Money(1, CNY), [1, 1]) == [Money(1, CNY), Money(0, CNY)]
    assert share_of(Money(10_000, CNY), Decimal("0.06")) == Money(600, CNY)


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=8).filter(lambda w: sum(w) > 0),
)
def test_a_split_adds_up_and_no_part_is_off_by_more_than_one(
    minor: int, weights: list[int]
) -> None:
    parts = split(Money(minor, CNY), weights)
    assert total(parts, CNY) == Money(minor, CNY)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor * sum(weights) - minor * weight) < sum(weights)


def test_a_split_among_nobody_is_refused() -> None:
    for weights in ([], [0, 0], [1, -1, 5]):
        with pytest.raises((MoneyError, ValueError)):
            split(Money(1, CNY), weights)
