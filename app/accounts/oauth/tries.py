"""Tries: how many may fail before the next must wait, and how long; pure.

A try is a debt that is forgiven with time. Those beyond the free ones are each followed by a pause,
twice as long as the one before. Nothing here knows whether a try was right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
DOUBLINGS = 5
"""After so many the pause is the longest one: more debt would only outlast the attack."""


@dataclass(frozen=True)
class Allowance:
    """What one name may do: `free` tries without a pause; each is forgiven after a time."""

    free: int
    forgiven_after: timedelta


@dataclass(frozen=True)
class Debt:
    """What is held against one name: until when, and until when it must wait."""

    clear_at: datetime
    blocked_until: datetime

    def wait_s(self, moment: datetime) -> int:
        """Whole seconds from `moment` until the next try is allowed; 0 if it is."""
        return max(0, -((moment - self.blocked_until) // timedelta(seconds=1)))


PER_EMAIL = Allowance(free=5, forgiven_after=timedelta(minutes=30))
"""Guessing one password: about 100 tries a day, once the free ones are spent."""
PER_ADDRESS = Allowance(free=50, forgiven_after=timedelta(minutes=2))
"""Guessing many people's: wide enough for an office whose people share one address."""


def add_try(debt: Debt, allowance: Allowance, moment: datetime) -> Debt:
    """The debt with one more try, made at `moment`."""
    most = moment + (allowance.free + DOUBLINGS) * allowance.forgiven_after
    clear_at = min(max(debt.clear_at, moment) + allowance.forgiven_after, most)
    owed = -((moment - clear_at) // allowance.forgiven_after)
    if owed < allowance.free:
        return Debt(clear_at, moment)
    pause = FIRST_PAUSE * 2 ** (owed - allowance.free)
    return Debt(clear_at, moment + min(pause, LONGEST_PAUSE))


def take_back(debt: Debt, allowance: Allowance, moment: datetime) -> Debt:
    """The debt without one try that turned out to be right, nor the pause that it brought."""
    clear_at = max(debt.clear_at - allowance.forgiven_after, moment)
    owed = -((moment - clear_at) // allowance.forgiven_after)
    return Debt(clear_at, moment if owed < allowance.free else debt.blocked_until)
