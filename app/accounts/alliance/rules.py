"""Rules: what a charter says of votes, as data; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.accounts.alliance.membership import SeatRole

MAX_DENOMINATOR = 100
NEVER_VOTING = frozenset({SeatRole.OBSERVER})
"""Those who look on, whatever a charter says."""


@dataclass(frozen=True)
class Fraction:
    """A part of a whole that is counted in heads: never rounded, so kept as it was written."""

    numerator: int
    denominator: int

    def is_reached(self, part: int, whole: int) -> bool:
        """Whether `part` of `whole` is at least this fraction: 以上 includes it (民法典 1259)."""
        return part * self.denominator >= self.numerator * whole

    def is_proper(self) -> bool:
        """Whether it is more than nothing and at most the whole."""
        return 1 <= self.numerator <= self.denominator <= MAX_DENOMINATOR

    def as_json(self) -> Mapping[str, int]:
        """The fraction as the log keeps it."""
        return {"numerator": self.numerator, "denominator": self.denominator}


@dataclass(frozen=True)
class VotingRules:
    """Whose seats vote, how many must take part, and how many of those must agree."""

    voting_roles: frozenset[SeatRole]
    quorum: Fraction
    majority: Fraction

    def faults(self) -> list[str]:
        """Why these are no rules to vote by; empty when they are."""
        found = []
        if not self.voting_roles:
            found.append("No role would vote.")
        if self.voting_roles & NEVER_VOTING:
            found.append("Observers never vote.")
        if not (self.quorum.is_proper() and self.majority.is_proper()):
            found.append("A fraction is more than nothing and at most the whole.")
        return found

    def as_json(self) -> Mapping[str, Any]:
        """The rules as the log keeps them."""
        return {
            "voting_roles": sorted(role.value for role in self.voting_roles),
            "quorum": self.quorum.as_json(),
            "majority": self.majority.as_json(),
        }
