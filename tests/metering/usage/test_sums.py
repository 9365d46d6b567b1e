"""Sums in pages, with and without the days that had no use; the rules are pure."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.refusals import Malformed
from app.metering.usage.sums import Grouping, UsageSum, overall, page_of_sums, with_zeros

DAYS = [
    UsageSum("2026-10-30", "call", 2, 1),
    UsageSum("2026-11-01", "call", 3, 2),
    UsageSum("2026-11-01", "row", 50, 1),
]


def names(sums: Any) -> list[tuple[str, str, int]]:
    return [(one.key, one.meter, one.units) for one in sums]


@pytest.mark.parametrize("grouping", [Grouping.LISTING, Grouping.CONTRACT])
def test_only_days_and_months_can_be_without_use(grouping: Grouping) -> None:
    with pytest.raises(Malformed):
        with_zeros(DAYS, grouping, None, None)


def test_days_without_use_stand_between_those_with_it_for_every_meter() -> None:
    assert names(with_zeros(DAYS, Grouping.DAY, None, None)) == [
        ("2026-10-30", "call", 2),
        ("2026-10-30", "row", 0),
        ("2026-10-31", "call", 0),
        ("2026-10-31", "row", 0),
        ("2026-11-01", "call", 3),
        ("2026-11-01", "row", 50),
    ]
    within = with_zeros(DAYS[:1], Grouping.DAY, date(2026, 10, 29), date(2026, 10, 31))
    assert names(within) == [
        ("2026-10-29", "call", 0),
        ("2026-10-30", "call", 2),
        ("2026-10-31", "call", 0),
    ]


def test_months_without_use_are_whole_months() -> None:
    months = [UsageSum("2026-11", "call", 2, 1), UsageSum("2027-02", "call", 3, 1)]
    assert names(with_zeros(months, Grouping.MONTH, date(2026, 10, 31), None)) == [
        ("2026-10", "call", 0),
        ("2026-11", "call", 2),
        ("2026-12", "call", 0),
        ("2027-01", "call", 0),
        ("2027-02", "call", 3),
    ]


def test_without_any_use_no_meter_is_named() -> None:
    assert with_zeros([], Grouping.DAY, date(2026, 11, 1), date(2026, 11, 3)) == []


def test_a_lifetime_of_days_is_too_many() -> None:
    with pytest.raises(Malformed):
        with_zeros(DAYS, Grouping.DAY, date(1900, 1, 1), None)


sums = st.lists(
    st.builds(
        UsageSum,
        st.sampled_from(["2026-11-01", "2026-11-02", "ctr_1", "ctr_2"]),
        st.sampled_from(["call", "row", "byte", "item"]),
        st.integers(-5, 5),
        st.integers(-5, 5),
    ),
    unique_by=lambda one: one.name,
).map(lambda found: sorted(found, key=lambda one: one.name))


@given(sums=sums, limit=st.integers(1, 4))
def test_pages_hold_every_sum_once_and_in_order(sums: list[UsageSum], limit: int) -> None:
    seen: list[UsageSum] = []
    cursor = None
    while True:
        page, cursor = page_of_sums(sums, limit=limit, cursor=cursor)
        seen += page
        assert len(page) == limit or cursor is None
        if cursor is None:
            break
    assert seen == sums
    assert sum(one.units for one in overall(seen)) == sum(one.units for one in sums)
