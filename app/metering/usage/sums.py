"""Sums of use, for whoever may see it: by day, month, listing or contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from app.http.paging import decode_cursor, encode_cursor
from app.kernel.actor import Actor
from app.kernel.clock import day_after, day_start, epoch_us
from app.kernel.refusals import Malformed
from app.metering.history.totals import DAY_US, EPOCH, SHANGHAI_US
from app.metering.tables import grant_state, usage_event, usage_total
from app.metering.usage.seeing import visible_to
from app.metering.windows import WindowKind, calendar_days

MAX_SPAN_DAYS = 1_100
FOREVER_US = 2**63 - 1


class Grouping(StrEnum):
    """What use is summed by."""

    DAY = "day"
    MONTH = "month"
    LISTING = "listing"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which use: of one contract, of one listing, settled from one day to another, both included.

    Days are those of Asia/Shanghai.
    """

    contract_id: str | None = None
    listing_id: str | None = None
    first_on: date | None = None
    last_on: date | None = None

    @property
    def of_grants(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on `grant_state`."""
        conditions = []
        if self.contract_id is not None:
            conditions.append(grant_state.c.contract_id == self.contract_id)
        if self.listing_id is not None:
            conditions.append(grant_state.c.listing_id == self.listing_id)
        return conditions

    @property
    def within_us(self) -> tuple[int, int]:
        """The half-open stretch of time, in microseconds since the epoch."""
        return (
            0 if self.first_on is None else epoch_us(day_start(self.first_on)),
            FOREVER_US if self.last_on is None else epoch_us(day_after(self.last_on)),
        )

    @property
    def of_events(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on `usage_event`."""
        conditions = []
        from_us, until_us = self.within_us
        if self.first_on is not None:
            conditions.append(usage_event.c.settled_at_us >= from_us)
        if self.last_on is not None:
            conditions.append(usage_event.c.settled_at_us < until_us)
        return conditions

    @property
    def of_totals(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on `usage_total`."""
        conditions = []
        if self.first_on is not None:
            conditions.append(usage_total.c.day >= self.first_on)
        if self.last_on is not None:
            conditions.append(usage_total.c.day <= self.last_on)
        return conditions


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Units and calls of one meter; what was taken back is taken off, when it was taken back."""

    key: str
    meter: str
    units: int
    calls: int

    @property
    def name(self) -> tuple[str, str]:
        """What no other sum of the same question has."""
        return self.key, self.meter


def usage_sums(
    connection: sa.Connection, actor: Actor, wanted: UsageFilter, grouping: Grouping
) -> Sequence[UsageSum]:
    """What the actor may see of use, by key (day, month, listing or contract) and meter."""
    mine = (visible_to(actor), *wanted.of_grants)
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for found, meter, units, calls in _parts(connection, mine, wanted, grouping):
        total = totals[_key_text(found, grouping), meter]
        total[0] += int(units)
        total[1] += int(calls)
    return [UsageSum(*name, *total) for name, total in sorted(totals.items())]


def units_since(connection: sa.Connection, grant_id: str, meter: str, first_on: date) -> int:
    """Units of one grant and meter settled on `first_on` or later; negative where more was taken
    back than used.
    """
    mine = (grant_state.c.grant_id == grant_id,)
    parts = _parts(connection, mine, UsageFilter(first_on=first_on), Grouping.CONTRACT)
    return sum(int(units) for _, found, units, _ in parts if found == meter)


def overall(sums: Sequence[UsageSum]) -> Sequence[UsageSum]:
    """The sums of the sums, one for each meter. Pure."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in sums:
        totals[one.meter][0] += one.units
        totals[one.meter][1] += one.calls
    return [UsageSum("", meter, *total) for meter, total in sorted(totals.items())]


def page_of_sums(
    sums: Sequence[UsageSum], *, limit: int, cursor: str | None
) -> tuple[Sequence[UsageSum], str | None]:
    """A stretch of the sums, and the cursor that goes on behind it. Pure."""
    after = ("", "") if cursor is None else _name_in(cursor)
    rest = [one for one in sums if one.name > after]
    more = len(rest) > limit
    next_cursor = encode_cursor(":".join(rest[limit - 1].name)) if more else None
    return rest[:limit], next_cursor


def with_zeros(
    sums: Sequence[UsageSum], grouping: Grouping, first_on: date | None, last_on: date | None
) -> Sequence[UsageSum]:
    """The same with the days or months between without use, for every meter that was used. Pure.

    From the first day asked for to the last, else those of the use itself. Refuses with `Malformed`
    what has no days, and more than `MAX_SPAN_DAYS` of them.
    """
    if grouping not in {Grouping.DAY, Grouping.MONTH}:
        raise Malformed("Only days and months can be without use: group by one of them.")
    if not sums:
        return sums
    first = first_on or _day_of(sums[0].key)
    last = last_on or _day_of(sums[-1].key)
    if (last - first).days >= MAX_SPAN_DAYS:
        raise Malformed(f"At most {MAX_SPAN_DAYS} days are shown with those without use.")
    found = {one.name: one for one in sums}
    meters = sorted({one.meter for one in sums})
    keys = _keys_between(first, last, WindowKind(grouping.value))
    names = [(key, meter) for key in keys for meter in meters]
    return [found.get(name, UsageSum(*name, 0, 0)) for name in names]


def _parts(
    connection: sa.Connection,
    mine: Sequence[sa.ColumnElement[bool]],
    wanted: UsageFilter,
    grouping: Grouping,
) -> Iterator[tuple[Any, ...]]:
    """Sums by key and meter: of the totals, and of the events that are in no total yet."""
    named = {
        Grouping.LISTING: grant_state.c.listing_id,
        Grouping.CONTRACT: grant_state.c.contract_id,
    }.get(grouping)
    total, event = usage_total.c, usage_event.c
    yield from _rows(
        connection,
        sa.select(
            (total.day if named is None else named).label("key"),
            total.meter,
            sa.func.sum(total.units),
            sa.func.sum(total.calls),
        )
        .join(grant_state, grant_state.c.grant_id == total.grant_id)
        .where(*mine, *wanted.of_totals)
        .group_by(sa.text("1"), total.meter),
    )
    day = (event.settled_at_us + SHANGHAI_US) // DAY_US
    void = event.kind == "void"
    yield from _rows(
        connection,
        sa.select(
            (day if named is None else named).label("key"),
            event.meter,
            sa.func.sum(sa.case((void, -event.units), else_=event.units)),
            sa.func.sum(sa.case((void, -1), else_=1)),
        )
        .join(
            grant_state,
            sa.and_(
                grant_state.c.grant_id == event.grant_id, event.number > grant_state.c.totalled_to
            ),
        )
        .where(*mine, *wanted.of_events)
        .group_by(sa.text("1"), event.meter),
    )


def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[tuple[Any, ...]]:
    for row in connection.execute(statement):
        yield tuple(row)


def _key_text(found: object, grouping: Grouping) -> str:
    if isinstance(found, int):
        found = EPOCH + timedelta(days=found)
    if isinstance(found, date):
        return _day_key(found, grouping)
    return str(found)


def _day_key(day: date, grouping: Grouping) -> str:
    return day.isoformat()[:7] if grouping is Grouping.MONTH else day.isoformat()


def _day_of(key: str) -> date:
    return date.fromisoformat(key if len(key) > 7 else f"{key}-01")


def _keys_between(first: date, last: date, kind: WindowKind) -> Iterator[str]:
    day = calendar_days(kind, first)[0]
    while day <= last:
        yield _day_key(day, Grouping(kind.value))
        day = calendar_days(kind, day)[1]


def _name_in(cursor: str) -> tuple[str, str]:
    key, separator, meter = decode_cursor(cursor).partition(":")
    if not separator:
        raise Malformed("This cursor was not given out here.")
    return key, meter
