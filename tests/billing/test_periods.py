"""Months in Asia/Shanghai."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.billing.periods import Period, parse_period, period_of, periods_between
from app.kernel.refusals import Malformed


def test_a_month_begins_and_ends_at_midnight_in_shanghai() -> None:
    november = parse_period("2026-11")
    assert november.starts_at == datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert november.ends_at == datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert not november.is_over(datetime(2026, 11, 30, 15, 59, 59, 999_999, tzinfo=UTC))
    assert november.is_over(datetime(2026, 11, 30, 16, tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "period"),
    [
        (datetime(2026, 10, 31, 15, 59, 59, 999_999, tzinfo=UTC), "2026-10"),
        (datetime(2026, 10, 31, 16, tzinfo=UTC), "2026-11"),
        (datetime(2026, 12, 31, 16, tzinfo=UTC), "2027-01"),
    ],
)
def test_a_moment_lies_in_the_month_of_its_day_in_shanghai(moment: datetime, period: str) -> None:
    assert str(period_of(moment)) == period


@pytest.mark.parametrize(
    "text",
    [
        "2026-13",
        "2026-00",
        "2026-1",
        "26-11",
        "2026-11-01",
        "2026/11",
        "",
        "２０２６-11",
        "1999-12",
    ],
)
def test_what_is_no_month_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_period(text)


def test_months_follow_each_other_over_the_year() -> None:
    found = periods_between(Period(2026, 11), Period(2027, 2))
    assert [str(period) for period in found] == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert list(periods_between(Period(2027, 1), Period(2026, 12))) == []
