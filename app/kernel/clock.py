"""Time: the one place that reads a clock. Aware UTC inside, Asia/Shanghai for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from time import time_ns
from typing import Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from app.kernel.refusals import RuleBroken

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(9998, 12, 31)


class DayOutOfRange(RuleBroken):
    """A day whose bounds no clock could show in every time zone."""

    slug = "day-out-of-range"
    title = "Day out of range"


@runtime_checkable
class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def now_us(self) -> int:
        """The present moment in microseconds since 1970: for the hot path, which makes no dates."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    def now_us(self) -> int:
        """The present moment in microseconds since 1970."""
        return time_ns() // 1_000


class SetClock:
    """A clock that stands still until it is moved: for tests and replays."""

    def __init__(self, start: datetime) -> None:
        self._now = utc(start)

    def now(self) -> datetime:
        """The moment that was last set."""
        return self._now

    def now_us(self) -> int:
        """The moment that was last set, in microseconds since 1970."""
        return epoch_us(self._now)

    def set_to(self, moment: datetime) -> None:
        """Jump to `moment`, forwards or backwards."""
        self._now = utc(moment)

    def advance(self, by: timedelta) -> None:
        """Move forward by `by`."""
        self._now += by


def utc(moment: datetime) -> datetime:
    """`moment` in UTC; a naive one is a bug, one before year 1 or after 9999 a `ValueError`."""
    if moment.tzinfo is None:
        raise ValueError("a moment must carry its time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the moment lies outside of the calendar in UTC") from error


def check_day(day: date) -> None:
    """Refuse with `DayOutOfRange` a day that cannot be reckoned with: 9999 is no "for ever"."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise DayOutOfRange(f"A day is between {FIRST_DAY} and {LAST_DAY}.", day=day.isoformat())


def local_day(moment: datetime) -> date:
    """The calendar day of `moment` in Asia/Shanghai."""
    return moment.astimezone(SHANGHAI).date()


def day_start(day: date) -> datetime:
    """The first moment of `day` in Asia/Shanghai, as UTC; else `DayOutOfRange`."""
    check_day(day)
    return _midnight(day)


def day_after(day: date) -> datetime:
    """The first moment after `day` in Asia/Shanghai, as UTC: the open end of a last day."""
    check_day(day)
    return _midnight(day + timedelta(days=1))


def rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339 in UTC with microseconds, of one width, so that text sorts as time."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: str) -> datetime:
    """The moment written by `rfc3339`, or any RFC 3339 text with an offset; else `ValueError`."""
    return utc(datetime.fromisoformat(text))


def epoch_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z, exactly."""
    return (utc(moment) - _EPOCH) // timedelta(microseconds=1)


def from_epoch_us(us: int) -> datetime:
    """The moment `us` microseconds after 1970-01-01T00:00Z."""
    return _EPOCH + timedelta(microseconds=us)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI).astimezone(UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
