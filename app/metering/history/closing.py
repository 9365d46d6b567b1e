"""Closing: which of a grant's events belong to a period, fixed for ever as a range of numbers.

Closing takes the lock that calls settle under and moves the grant's last settled moment to the end
of the period: no call can fall between two periods, and none is in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.history.history import history
from app.metering.tables import (
    grant_state,
    grant_terms,
    usage_archive,
    usage_archived,
    usage_event,
    usage_period,
)

BATCH = 500
LOCKED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class ClosedRange:
    """The events of one closed period by number; an empty one ends before it begins.

    `units` are those posted less those voided in the range, but for `granted_units`, which burned
    from unit grants and are rated zero.
    """

    first_number: int
    last_number: int
    units: int
    granted_units: int = 0


@dataclass(frozen=True, slots=True)
class PricedUnits:
    """Units of a range that were settled under one plan and one meter, and those beside them that
    were granted; either may be negative: what a void takes back may lie in an earlier range.
    """

    plan_id: str
    terms_sha256: str
    meter: str
    units: int
    granted_units: int
    calls: int


class PeriodClosedBeyond(ValueError):
    """A later period of the grant is closed already: this one can only be asked for again."""


def close_ranges(
    installation: Installation, grant_ids: Iterable[str], up_to_us: int
) -> dict[str, ClosedRange]:
    """Close each grant's events settled before `up_to_us` that no earlier period holds.

    Closing the same again gives the same ranges. A grant that was never applied has no events: its
    range is empty. Calls wait for a few rows only: what takes long is read before and after.
    """
    wanted = sorted(set(grant_ids))
    closed: dict[str, ClosedRange] = {}
    for start in range(0, len(wanted), LOCKED_AT_ONCE):
        some = wanted[start : start + LOCKED_AT_ONCE]
        with installation.usage_transaction(writes=False) as connection:
            seen = {one: _last_before(connection, one, up_to_us) for one in some}
        with installation.usage_transaction() as connection:
            ranges = {one: _close(connection, one, up_to_us, seen[one]) for one in some}
        # What a range holds never changes any more: it is added up without the lock.
        with installation.usage_transaction(writes=False) as connection:
            for grant_id, (first, last) in ranges.items():
                parts = units_between(connection, grant_id, first, last)
                units = sum(part.units for part in parts)
                granted = sum(part.granted_units for part in parts)
                closed[grant_id] = ClosedRange(first, last, units, granted)
    return closed


def units_between(
    connection: sa.Connection, grant_id: str, first: int, last: int
) -> Sequence[PricedUnits]:
    """Units posted less units voided among the events `first` to `last`, by the plan and terms that
    each event was settled under.
    """
    sign = sa.case((usage_event.c.kind == "void", -1), else_=1)
    granted = usage_event.c.granted_units
    terms = (grant_terms.c.plan_id, grant_terms.c.terms_sha256, usage_event.c.meter)
    wanted = (
        sa.select(
            *terms,
            sa.cast(sa.func.sum(sign * (usage_event.c.units - granted)), sa.BigInteger),
            sa.cast(sa.func.sum(sign * granted), sa.BigInteger),
            sa.cast(sa.func.sum(sign), sa.BigInteger),
        )
        .join(
            grant_terms,
            sa.and_(
                grant_terms.c.grant_id == usage_event.c.grant_id,
                grant_terms.c.epoch == usage_event.c.epoch,
            ),
        )
        .where(usage_event.c.grant_id == grant_id, usage_event.c.number.between(first, last))
        .group_by(*terms)
        .order_by(sa.func.min(usage_event.c.number))
    )
    with history(connection, grant_id, first, last):
        return [PricedUnits(*row) for row in connection.execute(wanted)]


def grants_with_open_use(
    connection: sa.Connection, grant_ids: Iterable[str], *, or_live: bool = False
) -> frozenset[str]:
    """Those of the grants that have events which no closed period holds; `or_live`, or may yet."""
    closed = (
        sa.select(sa.func.max(usage_period.c.last_number))
        .where(usage_period.c.grant_id == grant_state.c.grant_id)
        .scalar_subquery()
    )
    open_use = grant_state.c.last_number > sa.func.coalesce(closed, 0)
    rows = connection.execute(
        sa.select(grant_state.c.grant_id).where(
            grant_state.c.grant_id.in_(list(grant_ids)),
            sa.or_(open_use, grant_state.c.live) if or_live else open_use,
        )
    )
    return frozenset(str(row.grant_id) for row in rows)


def closed_to(connection: sa.Connection, grant_id: str) -> int:
    """The number of the last event that a closed period of the grant holds; 0 for none."""
    found = connection.execute(
        sa.select(sa.func.max(usage_period.c.last_number)).where(
            usage_period.c.grant_id == grant_id
        )
    ).scalar_one()
    return found or 0


def last_numbers_before(connection: sa.Connection, at_us: int) -> Iterator[tuple[str, int]]:
    """Every grant with the number of its last event that was settled before `at_us`.

    Of archived months only those that had ended by then are looked at.
    """
    event, archived = usage_event.c, usage_archived.c
    places = sa.union_all(
        sa.select(event.grant_id, event.number).where(event.settled_at_us < at_us),
        sa.select(archived.grant_id, archived.last_number)
        .join(usage_archive, usage_archive.c.month == archived.month)
        .where(usage_archive.c.until_us <= at_us),
    ).subquery()
    rows = connection.execute(
        sa.select(places.c.grant_id, sa.func.max(places.c.number))
        .group_by(places.c.grant_id)
        .order_by(places.c.grant_id)
        .execution_options(yield_per=BATCH)
    )
    for grant_id, number in rows:
        yield str(grant_id), int(number)


def _last_before(connection: sa.Connection, grant_id: str, up_to_us: int) -> int:
    """The number of the grant's last event settled before `up_to_us`; 0 for none."""
    found = connection.execute(
        sa.select(usage_event.c.number)
        .where(usage_event.c.grant_id == grant_id, usage_event.c.settled_at_us < up_to_us)
        .order_by(usage_event.c.number.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found or 0


def _close(connection: sa.Connection, grant_id: str, up_to_us: int, seen: int) -> tuple[int, int]:
    """Fix the range under the grant's lock; its first and last number.

    Event `seen` was settled before `up_to_us`: only those after it are looked at.
    """
    state = connection.execute(
        sa.select(grant_state.c.last_number)
        .where(grant_state.c.grant_id == grant_id)
        .with_for_update()
    ).one_or_none()
    if state is None:
        return 1, 0
    closed = connection.execute(
        sa.select(usage_period)
        .where(usage_period.c.grant_id == grant_id, usage_period.c.closed_until_us >= up_to_us)
        .order_by(usage_period.c.closed_until_us)
        .limit(1)
    ).one_or_none()
    if closed is not None:
        if closed.closed_until_us != up_to_us:
            raise PeriodClosedBeyond(f"{grant_id} is closed beyond {up_to_us}")
        return closed.first_number, closed.last_number
    first = closed_to(connection, grant_id) + 1
    # Settled moments never fall as numbers rise: the range ends before the first that is later.
    later = connection.execute(
        sa.select(usage_event.c.number)
        .where(
            usage_event.c.grant_id == grant_id,
            usage_event.c.number > max(seen, first - 1),
            usage_event.c.settled_at_us >= up_to_us,
        )
        .order_by(usage_event.c.number)
        .limit(1)
    ).scalar_one_or_none()
    last = int(state.last_number if later is None else later - 1)
    connection.execute(
        sa.insert(usage_period).values(
            grant_id=grant_id, closed_until_us=up_to_us, first_number=first, last_number=last
        )
    )
    connection.execute(
        sa.update(grant_state)
        .where(grant_state.c.grant_id == grant_id, grant_state.c.last_settled_at_us < up_to_us)
        .values(last_settled_at_us=up_to_us)
    )
    return first, last
