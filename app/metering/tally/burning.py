"""Burning: which unit grants give the units of a call. Pure.

Units that were granted burn before the quotas: by priority (0 first), then by earliest expiry, then
by earliest grant. What burned counts in no window and is rated zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class UnitGrant:
    """Units beside the quotas, and how many of them are left."""

    unit_grant_id: str
    meter: str
    priority: int
    left_units: int
    starts_at_us: int
    ends_at_us: int
    granted_at_us: int

    def gives(self, meter: str, at_us: int) -> int:
        """The units that a call on `meter` at that moment may burn of it."""
        if meter != self.meter or not self.starts_at_us <= at_us < self.ends_at_us:
            return 0
        return self.left_units


Burn = tuple[UnitGrant, int]
"""A unit grant, and the units that a call burns of it."""


def burning_order(grants: Iterable[UnitGrant]) -> list[UnitGrant]:
    """The grants in the order in which they burn; the id decides between equals."""
    return sorted(
        grants,
        key=lambda one: (one.priority, one.ends_at_us, one.granted_at_us, one.unit_grant_id),
    )


def burns_of(grants: Sequence[UnitGrant], meter: str, at_us: int, units: int) -> list[Burn]:
    """What a call of `units` burns of `grants`, which stand in burning order; changes nothing.

    Fewer units in all than the call has: the rest counts in its windows.
    """
    burns = []
    for grant in grants:
        if units == 0:
            break
        if taken := min(units, grant.gives(meter, at_us)):
            burns.append((grant, taken))
            units -= taken
    return burns


def left_of(grants: Sequence[UnitGrant], meter: str, at_us: int) -> int:
    """The units that calls on `meter` at that moment may still burn."""
    return sum(grant.gives(meter, at_us) for grant in grants)
