"""Noticing: both sides of a contract are told when a window reaches 80 and 100 per cent.

The rule: for every quota with a limit above zero, under the terms in force when it is looked at
(but for a window that had ended before they came into force), each of the two percentages is told
of once for one window and one limit. A limit that was raised or lowered is another limit and may be
reached anew; units that are given back take back no notice.

Calls pay nothing for it. A recurring job looks at the windows of grants that were used or amended
since, and leaves a row for each that is due (the usage store's outbox); then it tells of each in
the market store and notes that it did. Whatever dies in between, nobody is told twice: the row is
one by its key, and so are the notices and the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.accounts.scopes import USAGE_READ
from app.audit.recording import record
from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.kernel.clock import from_epoch_us, rfc3339
from app.metering.grants import CompiledGrant, compiled_from
from app.metering.tables import (
    grant_state,
    grant_terms,
    notice_progress,
    usage_notice,
    usage_window,
)
from app.notices.telling import tell

NOTICES = "usage.notices"
PERCENTS = (80, 100)
KINDS = {80: "usage.window_filling", 100: "usage.window_exhausted"}
GRANTS_AT_ONCE = 200
TOLD_AT_ONCE = 500
# A call bears the moment when it came, and may settle long after it, by a clock a little behind.
LOOK_BACK_US = 5 * 60 * 1_000_000

NOTICES_TO_TELL: sa.Select[Any] = sa.select(
    usage_notice,
    grant_state.c.contract_id,
    grant_state.c.listing_id,
    grant_state.c.buyer_id,
    grant_state.c.provider_id,
).join(grant_state, grant_state.c.grant_id == usage_notice.c.grant_id)
"""Every window that was seen to fill, with whose it is."""


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A window that has reached `percent` of a limit."""

    grant_id: str
    meter: str
    kind: str
    starts_at_us: int
    limit_units: int
    percent: int
    ends_at_us: int
    overage: str
    used_units: int


def notice_due(installation: Installation) -> None:
    """Tell both sides of every window that has filled since the last time.

    Safe to run anywhere, by many, at any time.
    """
    see_windows(installation)
    tell_notices(installation)


def see_windows(installation: Installation) -> None:
    """Leave a row for each window that both sides are to be told of."""
    now_us = installation.clock.now_us()
    with installation.usage_transaction(writes=False) as connection:
        since_us = _seen_to(connection) - LOOK_BACK_US
        moved = _moved_since(connection, since_us)
        due = [
            notice
            for start in range(0, len(moved), GRANTS_AT_ONCE)
            for notice in _due(connection, moved[start : start + GRANTS_AT_ONCE], since_us)
        ]
    if not moved:
        return
    with installation.usage_transaction() as connection:
        insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
        for notice in due:
            values = {**asdict(notice), "seen_at_us": now_us}
            connection.execute(insert(usage_notice).values(values).on_conflict_do_nothing())
        connection.execute(
            insert(notice_progress)
            .values(id=1, seen_to_us=now_us)
            .on_conflict_do_update(
                index_elements=["id"],
                set_={"seen_to_us": now_us},
                where=notice_progress.c.seen_to_us < now_us,
            )
        )


def due_in(grant: CompiledGrant, windows: Iterable[sa.Row[Any]]) -> Iterator[DueNotice]:
    """What both sides are to be told of these rows of `usage_window` of the grant. Pure."""
    limits: dict[tuple[str, int], str] = {}
    for quota in grant.windows:
        if quota.limit_units:
            name = (quota.window.value, quota.limit_units)
            # Where one quota bills what lies beyond a limit and another refuses it, it is refused.
            if limits.get(name) != "block":
                limits[name] = quota.overage
    for window in windows:
        for (kind, limit), overage in limits.items():
            if (window.meter, window.kind) != (grant.meter, kind):
                continue
            for percent in PERCENTS:
                if window.used_units * 100 >= limit * percent:
                    yield DueNotice(
                        grant.grant_id,
                        window.meter,
                        kind,
                        window.starts_at_us,
                        limit,
                        percent,
                        window.ends_at_us,
                        overage,
                        window.used_units,
                    )


def tell_notices(installation: Installation) -> None:
    """Tell both sides of each window that a row was left for, and note that it was done."""
    while True:
        with installation.usage_transaction(writes=False) as connection:
            rows = connection.execute(
                NOTICES_TO_TELL.where(usage_notice.c.told_at_us.is_(None))
                .order_by(*usage_notice.primary_key)
                .limit(TOLD_AT_ONCE)
            ).all()
        for row in rows:
            _tell(installation, row)
        if len(rows) < TOLD_AT_ONCE:
            return


def dedupe_key(row: sa.Row[Any]) -> str:
    """The key that a row of `NOTICES_TO_TELL` is told under."""
    place = (row.grant_id, row.meter, row.kind, row.starts_at_us, row.limit_units, row.percent)
    return ":".join(map(str, ("window", *place)))


def facts_of(row: sa.Row[Any]) -> dict[str, Any]:
    """What both sides are told of a row of `NOTICES_TO_TELL`."""
    return {
        "grant_id": row.grant_id,
        "listing_id": row.listing_id,
        "window": row.kind,
        "meter": row.meter,
        "limit_units": row.limit_units,
        "used_units": row.used_units,
        "percent": row.percent,
        "overage": row.overage,
        "starts_at": rfc3339(from_epoch_us(row.starts_at_us)),
        "ends_at": rfc3339(from_epoch_us(row.ends_at_us)),
    }


def _tell(installation: Installation, row: sa.Row[Any]) -> None:
    organisations = (row.buyer_id, row.provider_id)
    key, facts = dedupe_key(row), facts_of(row)
    with installation.transaction(job_actor(NOTICES)) as session:
        tell(
            session,
            KINDS[row.percent],
            row.contract_id,
            organisations=organisations,
            scope=USAGE_READ,
            dedupe_key=key,
            **facts,
        )
        record(
            session,
            "usage:window_told",
            row.contract_id,
            organisations=organisations,
            dedupe_key=key,
            **facts,
        )
    with installation.usage_transaction() as connection:
        connection.execute(
            sa.update(usage_notice)
            .where(*(column == row._mapping[column] for column in usage_notice.primary_key))
            .values(told_at_us=installation.clock.now_us())
        )


def _seen_to(connection: sa.Connection) -> int:
    found = connection.execute(sa.select(notice_progress.c.seen_to_us)).scalar_one_or_none()
    return found or 0


def _moved_since(connection: sa.Connection, since_us: int) -> Sequence[tuple[CompiledGrant, int]]:
    """The grants with a limit that were used or amended at `since_us` or later, and since when
    their terms are in force.
    """
    rows = connection.execute(
        sa.select(grant_terms.c.compiled, grant_terms.c.applied_at_us)
        .join(
            grant_state,
            sa.and_(
                grant_state.c.grant_id == grant_terms.c.grant_id,
                grant_state.c.epoch == grant_terms.c.epoch,
            ),
        )
        .where(
            sa.or_(
                grant_state.c.last_settled_at_us >= since_us,
                grant_terms.c.applied_at_us >= since_us,
            )
        )
    )
    grants = ((compiled_from(row.compiled), int(row.applied_at_us)) for row in rows)
    return [one for one in grants if any(quota.limit_units for quota in one[0].windows)]


def _due(
    connection: sa.Connection, grants: Sequence[tuple[CompiledGrant, int]], since_us: int
) -> Iterator[DueNotice]:
    """What is due and has no row yet, in the windows that did not end before `since_us`."""
    by_id = {grant.grant_id: (grant, applied_us) for grant, applied_us in grants}
    rows = connection.execute(
        sa.select(usage_window)
        .where(usage_window.c.grant_id.in_(by_id), usage_window.c.ends_at_us > since_us)
        .order_by(usage_window.c.grant_id)
    )
    known = {
        tuple(row)
        for row in connection.execute(
            sa.select(*usage_notice.primary_key).where(usage_notice.c.grant_id.in_(by_id))
        )
    }
    for grant_id, windows in groupby(rows, key=lambda row: row.grant_id):
        grant, applied_us = by_id[grant_id]
        meant = (window for window in windows if window.ends_at_us > applied_us)
        for notice in due_in(grant, meant):
            place = (
                *(notice.grant_id, notice.meter, notice.kind),
                *(notice.starts_at_us, notice.limit_units, notice.percent),
            )
            if place not in known:
                yield notice
