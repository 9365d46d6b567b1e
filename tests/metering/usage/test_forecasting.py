"""A forecast says a day, and only when there is one to say."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.clock import epoch_us, from_epoch_us, local_day
from app.metering.usage.forecasting import DAY_US, Forecast, Outlook, Pace, forecast, observed_from
from tests.metering.grant_documents import local_us

NOW = local_us("2026-11-10 12:00:00")
MONTH_END = local_us("2026-12-01 00:00:00")
TONIGHT = local_us("2026-11-11 00:00:00")
WEEK_AND_HALF_A_DAY = 7 * DAY_US + DAY_US // 2


@pytest.mark.parametrize(
    ("left", "ends_at_us", "pace", "wanted"),
    [
        # 75 in 7.5 days are 10 a day: 100 last ten days, 205 a whole month's rest and no more.
        (100, MONTH_END, Pace(75, WEEK_AND_HALF_A_DAY), ("runs_out", date(2026, 11, 20), 10)),
        (1, MONTH_END, Pace(75, WEEK_AND_HALF_A_DAY), ("runs_out", date(2026, 11, 10), 10)),
        (5, MONTH_END, Pace(75, WEEK_AND_HALF_A_DAY), ("runs_out", date(2026, 11, 11), 10)),
        (204, MONTH_END, Pace(75, WEEK_AND_HALF_A_DAY), ("runs_out", date(2026, 11, 30), 10)),
        (205, MONTH_END, Pace(75, WEEK_AND_HALF_A_DAY), ("lasts", None, 10)),
        (4, TONIGHT, Pace(75, WEEK_AND_HALF_A_DAY), ("runs_out", date(2026, 11, 10), 10)),
        (5, TONIGHT, Pace(75, WEEK_AND_HALF_A_DAY), ("lasts", None, 10)),
        # Less than one unit a day is a pace all the same.
        (2, MONTH_END, Pace(1, 2 * DAY_US), ("runs_out", date(2026, 11, 14), 0)),
        # Nothing used, or more given back than used: at that pace it lasts.
        (100, MONTH_END, Pace(0, WEEK_AND_HALF_A_DAY), ("lasts", None, 0)),
        (100, MONTH_END, Pace(-3, WEEK_AND_HALF_A_DAY), ("lasts", None, 0)),
        # Just begun: nothing is foretold from less than a day.
        (100, MONTH_END, Pace(99, DAY_US - 1), ("unknown", None, None)),
        (100, MONTH_END, Pace(99, DAY_US), ("runs_out", date(2026, 11, 11), 99)),
        (100, MONTH_END, Pace(0, 0), ("unknown", None, None)),
        # Used up is used up, at any pace; so is a window that charges for what is beyond.
        (0, MONTH_END, Pace(75, WEEK_AND_HALF_A_DAY), ("exhausted", None, 10)),
        (-7, MONTH_END, Pace(0, 0), ("exhausted", None, None)),
    ],
)
def test_what_becomes_of_a_window(
    left: int, ends_at_us: int, pace: Pace, wanted: tuple[str, date | None, int | None]
) -> None:
    outlook, exhausts_on, units_per_day = wanted
    assert forecast(left, ends_at_us, NOW, pace) == Forecast(
        Outlook(outlook), exhausts_on, units_per_day
    )


def test_use_is_looked_at_for_a_week_before_today_but_never_before_the_grant() -> None:
    assert observed_from(NOW, 0) == local_us("2026-11-03 00:00:00")
    assert observed_from(NOW, NOW - 5) == NOW - 5


units = st.integers(0, 2**53)
moments = st.integers(epoch_us(from_epoch_us(0)), local_us("2100-01-01 00:00:00"))


@given(
    left=st.integers(-(2**53), 2**53),
    used=st.integers(-(2**53), 2**53),
    span_us=st.integers(0, 8 * DAY_US),
    now_us=moments,
    rest_us=st.integers(0, 400 * DAY_US),
)
def test_a_forecast_day_lies_in_the_rest_of_the_window_and_falls_as_less_is_left(
    left: int, used: int, span_us: int, now_us: int, rest_us: int
) -> None:
    pace, ends_at_us = Pace(used, span_us), now_us + rest_us
    found = forecast(left, ends_at_us, now_us, pace)
    assert (found.outlook is Outlook.EXHAUSTED) == (left <= 0)
    assert (found.exhausts_on is not None) == (found.outlook is Outlook.RUNS_OUT)
    if found.exhausts_on is not None:
        first, last = (local_day(from_epoch_us(us)) for us in (now_us, ends_at_us))
        assert first <= found.exhausts_on <= last
        less = forecast(left - 1, ends_at_us, now_us, pace)
        assert less.exhausts_on is None or less.exhausts_on <= found.exhausts_on
    if found.outlook is Outlook.LASTS:
        assert left * span_us >= max(0, used) * rest_us
