"""Questions about single events. Buyer, provider and auditor read the same rows."""

from __future__ import annotations

import sqlalchemy as sa

from app.http.paging import decode_cursor, encode_cursor
from app.kernel.actor import Actor
from app.kernel.refusals import Malformed, RowNotFound
from app.metering.events import EVENTS, EventDocument, event_document
from app.metering.seeing import NOT_FOUND, visible_to
from app.metering.sums import UsageFilter
from app.metering.tables import usage_event


def access_event(connection: sa.Connection, actor: Actor, event_id: str) -> EventDocument:
    """An event that the actor may see; else `RowNotFound`."""
    row = connection.execute(
        EVENTS.where(usage_event.c.event_id == event_id, visible_to(actor))
    ).one_or_none()
    if row is None:
        raise RowNotFound(NOT_FOUND)
    return event_document(row)


def list_events(
    connection: sa.Connection, actor: Actor, wanted: UsageFilter, *, limit: int, cursor: str | None
) -> tuple[list[EventDocument], str | None]:
    """A stretch of the events that the actor may see, by grant and number, and the next cursor."""
    statement = EVENTS.where(visible_to(actor), *wanted.of_grants, *wanted.of_events)
    if cursor is not None:
        grant_id, number = _place(cursor)
        statement = statement.where(
            sa.or_(
                usage_event.c.grant_id > grant_id,
                sa.and_(usage_event.c.grant_id == grant_id, usage_event.c.number > number),
            )
        )
    rows = connection.execute(
        statement.order_by(usage_event.c.grant_id, usage_event.c.number).limit(limit + 1)
    ).all()
    shown = rows[:limit]
    more = len(rows) > limit
    next_cursor = encode_cursor(f"{shown[-1].grant_id}:{shown[-1].number}") if more else None
    return [event_document(row) for row in shown], next_cursor


def _place(cursor: str) -> tuple[str, int]:
    grant_id, _, number = decode_cursor(cursor).partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18) or "\0" in grant_id:
        raise Malformed("This cursor was not given out here.")
    return grant_id, int(number)
