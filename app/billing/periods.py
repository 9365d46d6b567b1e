"""Periods: the calendar months, in Asia/Shanghai, that use is invoiced by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from app.kernel.clock import day_start, local_day
from app.kernel.refusals import Malformed

_SHAPE = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Period:
    """A month; written `2026-11`, half-open as moments."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first_on(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last_on(self) -> date:
        """Its last day."""
        return self.following().first_on - timedelta(days=1)

    @property
    def starts_at(self) -> datetime:
        """Its first moment."""
        return day_start(self.first_on)

    @property
    def ends_at(self) -> datetime:
        """The first moment after it."""
        return self.following().starts_at

    def is_over(self, at: datetime) -> bool:
        """Whether nothing can happen in it any more."""
        return at >= self.ends_at

    def following(self) -> Period:
        """The next month."""
        return Period(self.year + self.month // 12, self.month % 12 + 1)


def parse_period(text: str) -> Period:
    """The period written as `YYYY-MM`; `Malformed` for anything else."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise Malformed("A period is a month, written like 2026-11.")
    return Period(int(match[1]), int(match[2]))


def period_of(moment: datetime) -> Period:
    """The month that a moment lies in."""
    day = local_day(moment)
    return Period(day.year, day.month)


def periods_between(first: Period, last: Period) -> Iterator[Period]:
    """From `first` to `last`, both included; none when they are the wrong way round."""
    while first <= last:
        yield first
        first = first.following()
