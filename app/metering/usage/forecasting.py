"""Forecasting: when a window will have no room left, at the pace of the last days.

The rule, the same for whoever asks: the pace is what was used in the last seven whole days and in
the part of today that has passed, over just that time; days before the grant's first are left out,
and with less than one day in all nothing is foretold. What is left is used up at that pace. The
answer is a day and no moment, since days are as sure as such a reckoning can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.kernel.clock import day_start, epoch_us, from_epoch_us, local_day

OBSERVED_DAYS = 7
DAY_US = 24 * 3600 * 1_000_000


class Outlook(StrEnum):
    """What becomes of a window."""

    EXHAUSTED = "exhausted"
    RUNS_OUT = "runs_out"
    LASTS = "lasts"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Pace:
    """Units used in a stretch of time that ends now; negative when more was taken back."""

    units: int
    span_us: int

    @property
    def units_per_day(self) -> int | None:
        """Units in a day, rounded down; None when too little was seen."""
        return max(0, self.units) * DAY_US // self.span_us if self.is_known else None

    @property
    def is_known(self) -> bool:
        """Whether a whole day was seen."""
        return self.span_us >= DAY_US


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of a window; `exhausts_on` is the day (Asia/Shanghai) when it runs out."""

    outlook: Outlook
    exhausts_on: date | None
    units_per_day: int | None


def observed_from(now_us: int, granted_us: int) -> int:
    """The moment from which use is looked at: a week before today, or when the grant began."""
    today = local_day(from_epoch_us(now_us))
    return max(granted_us, epoch_us(day_start(today - timedelta(days=OBSERVED_DAYS))))


def forecast(left_units: int, ends_at_us: int, now_us: int, pace: Pace) -> Forecast:
    """What becomes of a window that has `left_units` at `now_us` and ends at `ends_at_us`."""
    rate = pace.units_per_day
    if left_units <= 0:
        return Forecast(Outlook.EXHAUSTED, None, rate)
    if not pace.is_known:
        return Forecast(Outlook.UNKNOWN, None, rate)
    if pace.units <= 0:
        return Forecast(Outlook.LASTS, None, rate)
    # In whole microseconds, rounded up: the room is used up only when the last unit is.
    runs_out_us = now_us - (-left_units * pace.span_us // pace.units)
    if runs_out_us >= ends_at_us:
        return Forecast(Outlook.LASTS, None, rate)
    return Forecast(Outlook.RUNS_OUT, local_day(from_epoch_us(runs_out_us)), rate)
