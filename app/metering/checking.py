"""Does the meter keep its promises? Invariants M1 and A2, read-only; each names the first row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.metering.grants import compiled_from, frame_at
from app.metering.history.checking_totals import (
    archive_problems,
    partition_problems,
    total_problems,
)
from app.metering.history.history import history
from app.metering.history.segments import segment_root
from app.metering.reported.checking import report_problems
from app.metering.tables import (
    grant_state,
    grant_terms,
    usage_event,
    usage_key,
    usage_period,
    usage_report,
    usage_segment,
    usage_window,
)
from app.metering.tally.counted import COUNTS_AT_US, ITS_REPORT, counted_in
from app.metering.units.checking import unit_problems

BATCH = 500
_TERMS_OF_EVENT = sa.and_(
    grant_terms.c.grant_id == usage_event.c.grant_id, grant_terms.c.epoch == usage_event.c.epoch
)


def problems(connection: sa.Connection) -> Iterator[str]:
    """What is wrong with counters, numbers, reports, segments and periods; nothing when all hold.

    `connection` is a reading `usage_transaction`: it sees a busy store at one moment.
    """
    yield from _orphans(connection)
    yield from report_problems(connection)
    for grant in _grants(connection):
        with history(connection, grant.grant_id, 1, grant.last_number):
            yield from _counter_problems(connection, grant.grant_id)
            yield from unit_problems(connection, grant)
            yield from _number_problems(connection, grant)
            yield from _segment_problems(connection, grant)
            yield from _period_problems(connection, grant)
            yield from total_problems(connection, grant)
            if grant.archived_to:
                yield from report_problems(connection, grant.grant_id)
    yield from archive_problems(connection)
    yield from partition_problems(connection)


def _grants(connection: sa.Connection) -> Iterator[sa.Row[Any]]:
    """Every grant, some at a time: no question is open while the next is asked."""
    grants = sa.select(grant_state).order_by(grant_state.c.grant_id).limit(BATCH)
    rows = connection.execute(grants).all()
    while rows:
        yield from rows
        rows = connection.execute(grants.where(grant_state.c.grant_id > rows[-1].grant_id)).all()


def begin_view(connection: sa.Connection) -> None:
    """Ask for anything: a snapshot begins with its first statement."""
    connection.execute(sa.select(grant_state.c.grant_id).limit(1)).first()


def _orphans(connection: sa.Connection) -> Iterator[str]:
    lost = connection.execute(
        sa.select(usage_event.c.event_id)
        .outerjoin(grant_terms, _TERMS_OF_EVENT)
        .where(grant_terms.c.grant_id.is_(None))
        .limit(1)
    ).scalar_one_or_none()
    if lost is not None:
        yield f"A2: event {lost} was settled under terms that are not here"
    twice = connection.execute(
        sa.select(usage_event.c.event_id)
        .group_by(usage_event.c.event_id)
        .having(sa.func.count() > 1)
        .limit(1)
    ).scalar_one_or_none()
    if twice is not None:
        yield f"M2: event {twice} was settled more than once"
    event = sa.and_(
        usage_event.c.grant_id == usage_key.c.grant_id,
        usage_event.c.number == usage_key.c.number,
        usage_event.c.event_id == usage_key.c.event_id,
        usage_event.c.kind == "posted",
    )
    idle = connection.execute(
        sa.select(usage_key.c.grant_id, usage_key.c.event_id)
        .outerjoin(usage_event, event)
        .where(usage_event.c.grant_id.is_(None))
        .limit(1)
    ).one_or_none()
    if idle is not None:
        yield f"M1: a key of {idle.grant_id} names event {idle.event_id}, which was not posted"
    taker = usage_event.alias()
    free = connection.execute(
        sa.select(usage_key.c.grant_id, usage_key.c.event_id)
        .join(
            taker,
            sa.and_(taker.c.grant_id == usage_key.c.grant_id, taker.c.voids == usage_key.c.number),
        )
        .limit(1)
    ).one_or_none()
    if free is not None:
        yield f"M1: a key of {free.grant_id} gives event {free.event_id}, which was taken back"


def _counter_problems(connection: sa.Connection, grant_id: str) -> Iterator[str]:
    windows = connection.execute(
        sa.select(usage_window)
        .where(usage_window.c.grant_id == grant_id)
        .order_by(usage_window.c.meter, usage_window.c.kind, usage_window.c.starts_at_us)
    ).all()
    for window in windows:
        counted = connection.execute(counted_in(window)).one()
        used, last = counted.units, counted.last
        name = f"{window.meter}/{window.kind}/{window.starts_at_us} of {grant_id}"
        if used != window.used_units:
            yield f"M1: window {name} says {window.used_units} units used, its events {used}"
        elif window.limit_units is not None and window.used_units > window.limit_units:
            yield f"M1: window {name} is over its limit of {window.limit_units}"
        elif last is not None and not _is_limited_as_signed(connection, window, last):
            yield f"M1: window {name} has another limit than its terms"
    uncounted = connection.execute(
        sa.select(usage_event.c.event_id)
        .outerjoin(usage_report, ITS_REPORT)
        .where(usage_event.c.grant_id == grant_id, usage_event.c.kind == "posted")
        .where(
            ~sa.exists().where(
                usage_window.c.grant_id == usage_event.c.grant_id,
                usage_window.c.meter == usage_event.c.meter,
                usage_window.c.starts_at_us <= COUNTS_AT_US,
                usage_window.c.ends_at_us > COUNTS_AT_US,
            )
        )
        .limit(1)
    ).scalar_one_or_none()
    if uncounted is not None:
        yield f"M1: event {uncounted} is counted in no window of {grant_id}"


def _is_limited_as_signed(connection: sa.Connection, window: sa.Row[Any], last: int) -> bool:
    """Whether the window's limit is that of the terms which admitted its last event."""
    event = connection.execute(
        sa.select(usage_event.c.settled_at_us, grant_terms.c.compiled)
        .join(grant_terms, _TERMS_OF_EVENT)
        .where(usage_event.c.grant_id == window.grant_id, usage_event.c.number == last)
    ).one_or_none()
    if event is None:  # `_orphans` names it
        return True
    frame = frame_at(compiled_from(event.compiled), event.settled_at_us)
    return all(
        counter.limit_units == window.limit_units
        for counter in frame.counters
        if counter.key.kind == window.kind
    )


def _number_problems(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    numbered = sa.select(
        usage_event,
        sa.func.row_number().over(order_by=usage_event.c.number).label("place"),
        sa.func.lag(usage_event.c.settled_at_us)
        .over(order_by=usage_event.c.number)
        .label("before"),
    ).where(usage_event.c.grant_id == grant.grant_id)
    rows = numbered.subquery()
    wrong = connection.execute(
        sa.select(rows)
        .where((rows.c.number != rows.c.place) | (rows.c.settled_at_us < rows.c.before))
        .order_by(rows.c.number)
        .limit(1)
    ).one_or_none()
    if wrong is not None and wrong.number != wrong.place:
        yield f"A2: event {wrong.place} of {grant.grant_id} is missing; {wrong.number} is next"
    elif wrong is not None:
        yield f"A2: event {wrong.event_id} was settled before the one that it follows"
    else:
        yield from _end_problems(connection, grant)


def _end_problems(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    mine = usage_event.c.grant_id == grant.grant_id
    last = connection.execute(
        sa.select(
            sa.func.max(usage_event.c.number), sa.func.max(usage_event.c.settled_at_us)
        ).where(mine)
    ).one()
    if (last[0] or 0) != grant.last_number:
        said = grant.last_number
        yield f"A2: the last event of {grant.grant_id} is {last[0]}, its state says {said}"
    if (last[1] or 0) > grant.last_settled_at_us:
        yield f"A2: {grant.grant_id} was last settled before its last event"
    target = usage_event.alias("target")
    wrong = connection.execute(
        sa.select(usage_event.c.event_id)
        .outerjoin(
            target,
            sa.and_(
                target.c.grant_id == usage_event.c.grant_id,
                target.c.number == usage_event.c.voids,
                target.c.kind == "posted",
                target.c.units == usage_event.c.units,
                target.c.granted_units == usage_event.c.granted_units,
                target.c.meter == usage_event.c.meter,
            ),
        )
        .where(mine, usage_event.c.kind == "void", target.c.grant_id.is_(None))
        .limit(1)
    ).scalar_one_or_none()
    if wrong is not None:
        yield f"M1: event {wrong} takes back what was not posted"


def _segment_problems(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    segments = connection.execute(
        sa.select(usage_segment)
        .where(usage_segment.c.grant_id == grant.grant_id)
        .order_by(usage_segment.c.first_number)
    ).all()
    sealed_to = 0
    for segment in segments:
        first, last = segment.first_number, segment.last_number
        name = f"segment {first}–{last} of {grant.grant_id}"
        if first != sealed_to + 1:
            yield f"A2: {name} should begin at {sealed_to + 1}"
            return
        if segment_root(connection, grant.grant_id, first, last) != segment.root:
            yield f"A2: {name} is not what was sealed"
            return
        sealed_to = last
    if sealed_to != grant.sealed_to:
        yield f"A2: {grant.grant_id} is sealed to {sealed_to}, its state says {grant.sealed_to}"


def _period_problems(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    periods = connection.execute(
        sa.select(usage_period)
        .where(usage_period.c.grant_id == grant.grant_id)
        .order_by(usage_period.c.closed_until_us)
    ).all()
    closed_to = 0
    for period in periods:
        name = f"the period of {grant.grant_id} until {period.closed_until_us}"
        if period.first_number != closed_to + 1:
            yield f"A2: {name} should begin at event {closed_to + 1}"
            return
        closed_to = period.last_number
        if closed_to > grant.last_number:
            yield f"A2: {name} goes to event {closed_to}, the last is {grant.last_number}"
            return
        stray = connection.execute(
            sa.select(usage_event.c.event_id)
            .where(
                usage_event.c.grant_id == grant.grant_id,
                sa.or_(
                    sa.and_(
                        usage_event.c.number <= closed_to,
                        usage_event.c.settled_at_us >= period.closed_until_us,
                    ),
                    sa.and_(
                        usage_event.c.number > closed_to,
                        usage_event.c.settled_at_us < period.closed_until_us,
                    ),
                ),
            )
            .limit(1)
        ).scalar_one_or_none()
        if stray is not None:
            yield f"A2: event {stray} is on the wrong side of {name}"
            return
