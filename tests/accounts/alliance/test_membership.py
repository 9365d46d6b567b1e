"""Terms: the days on which a role is held, and which of two have a day in common."""

from __future__ import annotations

import fractions
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.accounts.alliance.membership import SeatState, Term
from app.accounts.alliance.rules import Fraction

DAYS = st.dates(date(2026, 1, 1), date(2026, 1, 20))
TERMS = st.builds(Term, DAYS, DAYS)
MONTH = [date(2025, 12, 25) + timedelta(days=number) for number in range(40)]


def days_of(term: Term) -> set[date]:
    return {day for day in MONTH if term.holds_on(day)}


@given(TERMS, TERMS)
def test_two_terms_overlap_if_they_have_a_day_in_common(one: Term, other: Term) -> None:
    assert one.overlaps(other) == bool(days_of(one) & days_of(other))
    assert one.overlaps(other) == other.overlaps(one)


@given(TERMS, DAYS)
def test_a_term_that_ends_early_keeps_the_days_before(term: Term, day: date) -> None:
    assert days_of(term.ended_on(day)) == {one for one in days_of(term) if one < day}


@given(TERMS, DAYS)
def test_a_seat_is_current_on_its_days_upcoming_before_them_and_past_after(
    term: Term, day: date
) -> None:
    days = days_of(term)
    if day in days:
        expected = SeatState.CURRENT
    else:
        expected = SeatState.UPCOMING if any(day < one for one in days) else SeatState.PAST
    assert term.state_on(day) is expected


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 50), st.integers(0, 50))
def test_a_fraction_is_reached_by_the_exact_part_and_by_no_less(
    numerator: int, denominator: int, part: int, whole: int
) -> None:
    exact = fractions.Fraction(numerator, denominator) * whole
    assert Fraction(numerator, denominator).is_reached(part, whole) == (part >= exact)
