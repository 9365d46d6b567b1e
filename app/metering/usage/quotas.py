"""Quotas as they stand: what was used in each window around a moment, and how long it will last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from app.kernel.clock import from_epoch_us, local_day
from app.metering.granting import load_grant
from app.metering.grants import CompiledGrant, Counter, Quota, frame_at
from app.metering.tables import (
    grant_state,
    grant_terms,
    unit_grant,
    usage_event,
    usage_window,
)
from app.metering.usage.forecasting import Forecast, Pace, forecast, observed_from
from app.metering.usage.sums import units_since
from app.metering.windows import WindowKind

UNLIMITED = Quota("unlimited", WindowKind.CONTRACT)


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A quota in its window around a moment; a forecast where it has a limit and can be used."""

    quota: Quota
    counter: Counter
    used_units: int
    forecast: Forecast | None = None

    @property
    def remaining_units(self) -> int | None:
        """What is left; None without a limit."""
        limit = self.quota.limit_units
        return None if limit is None else max(0, limit - self.used_units)

    @property
    def percent(self) -> int | None:
        """How much of the limit is used, rounded down: 99.9 are not yet 100. None without one."""
        limit = self.quota.limit_units
        if limit is None:
            return None
        return 100 if limit == 0 else self.used_units * 100 // limit


def quota_use(connection: sa.Connection, grant_id: str, at_us: int) -> Iterator[QuotaUse]:
    """Each quota of the grant as it stands at `at_us`; a grant without any counts all the same.

    What is left of unit grants is foretold to be used first, as if none of it expired.
    `connection` is a reading `usage_transaction`: counters and sums must be of one moment.
    """
    grant = load_grant(connection, grant_id)
    assert grant is not None, "a grant that was accessed is there"
    used = counters_used(connection, grant, at_us)
    usable = grant.live and grant.starts_at_us <= at_us < grant.ends_at_us
    granted = granted_left(connection, grant, at_us)
    limited = any(quota.limit_units is not None for quota in grant.windows)
    pace = _pace(connection, grant, at_us) if usable and limited else None
    for quota in grant.windows or (UNLIMITED,):
        counter = next(one for one in used if one.key.kind == quota.window.value)
        found = None
        if pace is not None and quota.limit_units is not None:
            # Granted units burn before a window's own: until they have, it stays as it is.
            left = max(0, quota.limit_units - used[counter]) + granted
            found = forecast(left, counter.ends_at_us, at_us, pace)
        yield QuotaUse(quota, counter, used[counter], found)


def granted_left(connection: sa.Connection, grant: CompiledGrant, at_us: int) -> int:
    """The units of unit grants that calls may still burn at `at_us`."""
    left = unit_grant.c.amount_units - unit_grant.c.burned_units
    found = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(left), 0)).where(
            unit_grant.c.grant_id == grant.grant_id,
            unit_grant.c.meter == grant.meter,
            unit_grant.c.starts_at_us <= at_us,
            unit_grant.c.ends_at_us > at_us,
        )
    ).scalar_one()
    return int(found)


def counters_used(
    connection: sa.Connection, grant: CompiledGrant, at_us: int
) -> dict[Counter, int]:
    """The units used in each window of the grant around `at_us`, or its first or last one."""
    frame = frame_at(grant, min(max(at_us, grant.starts_at_us), grant.ends_at_us - 1))
    rows = connection.execute(
        sa.select(usage_window).where(
            usage_window.c.grant_id == grant.grant_id,
            sa.or_(*(_is_row_of(counter) for counter in frame.counters)),
        )
    )
    found = {(row.kind, row.starts_at_us): int(row.used_units) for row in rows}
    used = {}
    for counter in frame.counters:
        units = found.get((counter.key.kind, counter.key.starts_at_us))
        used[counter] = _counted(connection, counter) if units is None else units
    return used


def _is_row_of(counter: Counter) -> sa.ColumnElement[bool]:
    return sa.and_(
        usage_window.c.meter == counter.key.meter,
        usage_window.c.kind == counter.key.kind,
        usage_window.c.starts_at_us == counter.key.starts_at_us,
    )


def _counted(connection: sa.Connection, counter: Counter) -> int:
    """What settling will find in a window that came with an amendment and has no counter yet."""
    key = counter.key
    settled = connection.execute(
        sa.select(grant_state.c.last_settled_at_us).where(grant_state.c.grant_id == key.grant_id)
    ).scalar_one()
    if settled < key.starts_at_us:
        return 0
    counted = usage_event.c.units - usage_event.c.granted_units
    void = usage_event.alias("void")
    taken_back = sa.exists().where(
        void.c.grant_id == usage_event.c.grant_id, void.c.voids == usage_event.c.number
    )
    return int(
        connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(counted), 0)).where(
                usage_event.c.grant_id == key.grant_id,
                usage_event.c.meter == key.meter,
                usage_event.c.kind == "posted",
                usage_event.c.settled_at_us >= key.starts_at_us,
                usage_event.c.settled_at_us < counter.ends_at_us,
                ~taken_back,
            )
        ).scalar_one()
    )


def _pace(connection: sa.Connection, grant: CompiledGrant, at_us: int) -> Pace:
    applied_us = connection.execute(
        sa.select(sa.func.min(grant_terms.c.applied_at_us)).where(
            grant_terms.c.grant_id == grant.grant_id
        )
    ).scalar_one()
    since_us = observed_from(at_us, max(grant.starts_at_us, int(applied_us)))
    first_on = local_day(from_epoch_us(since_us))
    units = units_since(connection, grant.grant_id, grant.meter, first_on)
    return Pace(units, at_us - since_us)
