"""Windows: the stretches of time that quotas count in, in Asia/Shanghai calendar time.

No rolling windows: they have no single counter that buyer and provider can both check.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from app.kernel.clock import day_start, epoch_us, from_epoch_us, local_day


class WindowKind(StrEnum):
    """How long a window is; `contract` is the whole life of the contract."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    CONTRACT = "contract"


def window_bounds(kind: WindowKind, at_us: int, life_us: tuple[int, int]) -> tuple[int, int]:
    """The half-open window of `kind` around `at_us`, as microseconds since the epoch.

    A calendar window keeps its full length where the contract starts or ends within it; `life_us`
    is the contract's own life and matters for `contract` only.
    """
    if kind is WindowKind.CONTRACT:
        return life_us
    first, after = calendar_days(kind, local_day(from_epoch_us(at_us)))
    return epoch_us(day_start(first)), epoch_us(day_start(after))


def calendar_days(kind: WindowKind, day: date) -> tuple[date, date]:
    """The first day of the calendar window around `day`, and the first day after it."""
    if kind is WindowKind.DAY:
        return day, date.fromordinal(day.toordinal() + 1)
    months = {WindowKind.MONTH: 1, WindowKind.QUARTER: 3, WindowKind.YEAR: 12}[kind]
    first = (day.month - 1) // months * months + 1
    after = first + months
    return (
        date(day.year, first, 1),
        date(day.year + (after - 1) // 12, (after - 1) % 12 + 1, 1),
    )
