"""Late use: what was reported of a month after its invoice becomes lines of a later one.

Pure. It is priced on top of what its month came to: what the month would have come to with these
units, less what it did. So late use pays the tier that it would have paid in time, and a correction
gives back what the units had cost. No invoice goes below zero: what does not fit is credited later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.billing.invoices.lines import ChargeLine, LineKind, charge_lines
from app.billing.invoices.months import BilledContract
from app.kernel.money import Money


@dataclass(frozen=True, slots=True)
class LateUse:
    """Units of an earlier month that were settled in a later one, and those that are priced with
    it; both may be below zero.
    """

    late_for: str
    units: int
    rated_units: int

    def document(self) -> dict[str, Any]:
        """The use as JSON values."""
        return {"late_for": self.late_for, "units": self.units, "rated_units": self.rated_units}


@dataclass(frozen=True, slots=True)
class LateMonth:
    """Late use of one month, and its lines."""

    use: LateUse
    lines: Sequence[ChargeLine]


class LateBook:
    """What each month of one contract has been priced for so far."""

    def __init__(self, contract: BilledContract) -> None:
        self.carried = 0
        """Units given back that were in no month's room yet: never above zero."""
        self._contract = contract
        self._rated: dict[str, int] = defaultdict(int)
        self._late_carried: dict[str, int] = defaultdict(int)

    def note(self, period: str, units: int, rated_units: int, late: Iterable[LateUse]) -> None:
        """Take in a month that was drawn: its own use, and the late use of others."""
        self.carried += units - rated_units
        self._rated[period] += rated_units
        for use in late:
            self._rated[use.late_for] += use.rated_units
            self._late_carried[use.late_for] += use.units - use.rated_units

    def price(self, late: Mapping[str, int], room_minor: int) -> list[LateMonth]:
        """The late use of a month, by the month that it is of; notes nothing.

        `room_minor` is what the month itself comes to: credits beyond it wait for another month.
        """
        wanted = {
            month: late.get(month, 0) + self._late_carried.get(month, 0)
            for month in {*late, *(month for month, left in self._late_carried.items() if left)}
        }
        found = []
        # What is to be paid comes first: it makes room for what is given back.
        for month in sorted(wanted, key=lambda one: (wanted[one] < 0, one)):
            rated, lines = self._fit(month, wanted[month], room_minor)
            room_minor += _sum_minor(lines)
            found.append(LateMonth(LateUse(month, late.get(month, 0), rated), lines))
        return sorted(found, key=lambda one: one.use.late_for)

    def _fit(self, month: str, wanted: int, room_minor: int) -> tuple[int, Sequence[ChargeLine]]:
        """As many of the units as may be priced without the invoice going below zero."""
        most = max(wanted, -self._rated[month])
        lines = self._lines(month, most)
        if room_minor + _sum_minor(lines) >= 0:
            return most, lines
        fits, too_many = 0, most
        while abs(too_many - fits) > 1:
            middle = (fits + too_many) // 2
            if room_minor + _sum_minor(self._lines(month, middle)) >= 0:
                fits = middle
            else:
                too_many = middle
        return fits, self._lines(month, fits)

    def _lines(self, month: str, units: int) -> Sequence[ChargeLine]:
        """What `units` more of the month come to, charge by charge."""
        before = self._by_charge(month, self._rated[month])
        after = self._by_charge(month, self._rated[month] + units)
        currency = self._contract.prices.plan.money
        kind = LineKind.LATE if units > 0 else LineKind.CREDIT
        lines = []
        for charge in sorted({*before, *after}):
            had, has = before.get(charge, _NOTHING), after.get(charge, _NOTHING)
            more, dearer = has.units - had.units, Money(has.minor - had.minor, currency)
            if more or dearer.minor:
                model = has.model or had.model
                lines.append(ChargeLine(charge, model, kind, abs(more), dearer, (), month))
        return lines

    def _by_charge(self, month: str, units: int) -> dict[int, _ChargeSum]:
        """What each charge of the whole month comes to."""
        contract = self._contract
        first = month == str(contract.first_period)
        found: dict[int, _ChargeSum] = {}
        for line in charge_lines(contract.prices.plan, units, first=first):
            if line.kind is LineKind.MINIMUM and contract.never_began:
                continue
            had = found.get(line.charge, _NOTHING)
            found[line.charge] = _ChargeSum(
                had.units + line.units, had.minor + line.amount.minor, line.model
            )
        return found


class _ChargeSum(NamedTuple):
    """All lines of one charge: included units and paid ones are on lines of their own."""

    units: int
    minor: int
    model: str


_NOTHING = _ChargeSum(0, 0, "")


def late_uses(documents: Iterable[Mapping[str, Any]]) -> list[LateUse]:
    """The uses that a range's JSON says."""
    return [LateUse(**document) for document in documents]


def _sum_minor(lines: Iterable[ChargeLine]) -> int:
    return sum(line.amount.minor for line in lines)
