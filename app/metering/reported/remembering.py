"""Remembering: what a provider has reported before, though its usage event is in the archive.

Files are read before the grant is locked: calls never wait for it. What is archived in between is
found by the next try, since a name is taken once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.metering.history.history import Piece, shown
from app.metering.reported.answers import PostedReport
from app.metering.reported.cloudevents import EventName, ReportedUse
from app.metering.tables import grant_state, usage_event, usage_report

POSTED_REPORTS = sa.select(
    usage_report, usage_event.c.event_id, usage_event.c.units, usage_event.c.settled_at_us,
    usage_event.c.request_sha256,
).join(
    usage_event,
    sa.and_(
        usage_event.c.grant_id == usage_report.c.grant_id,
        usage_event.c.number == usage_report.c.number,
    ),
)  # fmt: skip
"""What was reported, with the event that speaks for it."""


def archived_reports(
    connection: sa.Connection, provider_id: str, events: Sequence[ReportedUse]
) -> Mapping[EventName, PostedReport]:
    """What was posted under these names and is archived since. Needs a transaction."""
    named = named_as(provider_id, events)
    places = connection.execute(
        sa.select(usage_report.c.grant_id, usage_report.c.number)
        .join(grant_state, grant_state.c.grant_id == usage_report.c.grant_id)
        .where(named, usage_report.c.number <= grant_state.c.archived_to)
        .order_by(usage_report.c.grant_id, usage_report.c.number)
    ).all()
    if not places:
        return {}
    single = (Piece(row.grant_id, row.number, row.number) for row in places)
    with shown(connection, list(_joined(single))):
        return dict(known_reports(connection, named))


def known_reports(
    connection: sa.Connection, wanted: sa.ColumnElement[bool]
) -> Iterator[tuple[EventName, PostedReport]]:
    """What was posted, by its name, as far as its event is there."""
    for row in connection.execute(POSTED_REPORTS.where(wanted)):
        yield EventName(row.source, row.source_id), posted_report(row)


def named_as(provider_id: str, events: Sequence[ReportedUse]) -> sa.ColumnElement[bool]:
    """The condition for the provider's reports of these names, and perhaps of a few more."""
    return sa.and_(
        usage_report.c.provider_id == provider_id,
        usage_report.c.source.in_({event.name.source for event in events}),
        usage_report.c.source_id.in_({event.name.id for event in events}),
    )


def posted_report(row: sa.Row[Any]) -> PostedReport:
    """A row of `POSTED_REPORTS`."""
    return PostedReport(
        grant_id=row.grant_id,
        event_id=row.event_id,
        number=row.number,
        units=row.units,
        settled_at_us=row.settled_at_us,
        occurred_at_us=row.occurred_at_us,
        counts_at_us=row.counts_at_us,
        corrects=row.corrects,
        content_sha256=row.request_sha256,
    )


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same, in order, in fewer pieces: most events were reported one after the other."""
    joined: Piece | None = None
    for piece in pieces:
        if joined is not None and (joined.grant_id, joined.last + 1) == piece[:2]:
            joined = joined._replace(last=piece.last)
            continue
        if joined is not None:
            yield joined
        joined = piece
    if joined is not None:
        yield joined
