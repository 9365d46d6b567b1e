"""Recounting: counters and totals made again from the events, and how they differ from those kept.

The events, in the store and in the archive, are the truth and never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.refusals import RowNotFound
from app.metering.history.history import history
from app.metering.history.totals import DayTotal, day_totals, kept_totals, replace_totals
from app.metering.tables import grant_state, usage_window
from app.metering.tally.counted import counted_in

TRIES = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what is kept is not what the events come to; None where one of them has no row.

    `mended` tells that the total was made anew. A counter is only told of: it admits calls.
    """

    grant_id: str
    what: str
    name: str
    kept: dict[str, Any] | None
    counted: dict[str, Any] | None
    mended: bool = False


def recount(
    installation: Installation, grant_id: str | None = None, *, apply: bool = False
) -> Iterator[Difference]:
    """The differences of one grant, or of all; `apply` rewrites totals that differ.

    Refuses with `RowNotFound` a grant that was never in force.
    """
    with installation.usage_transaction(writes=False) as connection:
        wanted = sa.select(grant_state.c.grant_id).order_by(grant_state.c.grant_id)
        if grant_id is not None:
            wanted = wanted.where(grant_state.c.grant_id == grant_id)
        found = list(connection.execute(wanted).scalars())
    if grant_id is not None and not found:
        raise RowNotFound(f"{grant_id} was never in force.")
    for one in found:
        yield from _recount_grant(installation, one, apply)


def _recount_grant(installation: Installation, grant_id: str, apply: bool) -> Iterator[Difference]:
    for _ in range(TRIES):
        with installation.usage_transaction(writes=False) as connection:
            state = connection.execute(
                sa.select(grant_state.c.totalled_to, grant_state.c.last_number).where(
                    grant_state.c.grant_id == grant_id
                )
            ).one()
            with history(connection, grant_id, 1, state.last_number):
                counted = day_totals(connection, grant_id, 1, state.totalled_to)
                counters = list(_counter_differences(connection, grant_id))
            kept = kept_totals(connection, grant_id)
        wrong = list(total_differences(grant_id, kept, counted))
        mended = False
        if wrong and apply:
            with installation.usage_transaction() as connection:
                mended = replace_totals(connection, grant_id, state.totalled_to, counted)
            if not mended:  # it was totalled further meanwhile: count again
                continue
        for one in wrong:
            yield Difference(grant_id, "total", one.name, one.kept, one.counted, mended)
        yield from counters
        return


def total_differences(
    grant_id: str, kept: Sequence[DayTotal], counted: Sequence[DayTotal]
) -> Iterator[Difference]:
    """Days and meters whose total is not what their events come to. Pure."""
    left = {(one.day, one.meter): one for one in kept}
    right = {(one.day, one.meter): one for one in counted}
    for key in sorted({*left, *right}):
        if left.get(key) != right.get(key):
            name = f"{key[0].isoformat()} {key[1]}"
            yield Difference(grant_id, "total", name, _told(left.get(key)), _told(right.get(key)))


def _counter_differences(connection: sa.Connection, grant_id: str) -> Iterator[Difference]:
    windows = connection.execute(
        sa.select(usage_window)
        .where(usage_window.c.grant_id == grant_id)
        .order_by(usage_window.c.meter, usage_window.c.kind, usage_window.c.starts_at_us)
    ).all()
    for window in windows:
        used = connection.execute(counted_in(window)).one().units
        if used != window.used_units:
            yield Difference(
                grant_id,
                "counter",
                f"{window.meter}/{window.kind}/{window.starts_at_us}",
                {"used_units": window.used_units},
                {"used_units": int(used)},
            )


def _told(total: DayTotal | None) -> dict[str, Any] | None:
    return None if total is None else {**asdict(total), "day": total.day.isoformat()}
