"""Membership: the roles in the alliance and the days on which one is held; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class SeatRole(StrEnum):
    """What an organisation is in the alliance: `alliance_role` of the domain."""

    FOUNDER = "FOUNDER"
    PRESIDENT = "PRESIDENT"
    VICE_PRESIDENT = "VICE_PRESIDENT"
    EXEC_DIRECTOR = "EXEC_DIRECTOR"
    DIRECTOR = "DIRECTOR"
    MEMBER = "MEMBER"
    OBSERVER = "OBSERVER"


class SeatState(StrEnum):
    """Where a day stands to a seat's term."""

    UPCOMING = "upcoming"
    CURRENT = "current"
    PAST = "past"


@dataclass(frozen=True)
class Term:
    """Days in Asia/Shanghai: `from_on` is the first, `until_on` the first that is none any more.

    A term that was ended before it began has no day at all.
    """

    from_on: date
    until_on: date

    def holds_on(self, day: date) -> bool:
        """Whether `day` is one of them."""
        return self.from_on <= day < self.until_on

    def overlaps(self, other: Term) -> bool:
        """Whether any day is in both."""
        return max(self.from_on, other.from_on) < min(self.until_on, other.until_on)

    def state_on(self, day: date) -> SeatState:
        """How a seat of this term stands on `day`."""
        if self.until_on <= day or self.until_on <= self.from_on:
            return SeatState.PAST
        return SeatState.CURRENT if self.from_on <= day else SeatState.UPCOMING

    def ended_on(self, day: date) -> Term:
        """This term without `day` and those after it."""
        return Term(self.from_on, min(self.until_on, max(self.from_on, day)))
