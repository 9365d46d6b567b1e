"""Questions about single events. Buyer, provider and auditor read the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from app.http.paging import decode_cursor, encode_cursor
from app.kernel.actor import Actor
from app.kernel.refusals import Malformed, RowNotFound
from app.metering.history.events import EVENTS, EventDocument, event_document
from app.metering.history.history import Piece, archived_after, archived_place, shown
from app.metering.tables import grant_state, usage_event
from app.metering.usage.finding import place_of
from app.metering.usage.seeing import NOT_FOUND, visible_to
from app.metering.usage.sums import UsageFilter


def access_event(connection: sa.Connection, actor: Actor, event_id: str) -> EventDocument:
    """An event that the actor may see, archived or not; else `RowNotFound`."""
    wanted = EVENTS.where(usage_event.c.event_id == event_id, visible_to(actor))
    row = None
    if (found := place_of(connection, event_id, visible_to(actor))) is not None:
        grant_id, number = found
        here = usage_event.c.grant_id == grant_id, usage_event.c.number == number
        row = connection.execute(wanted.where(*here)).one_or_none()
    elif (place := archived_place(connection, event_id, visible_to(actor))) is not None:
        with shown(connection, [place]):
            row = connection.execute(wanted).one_or_none()
    if row is None:
        raise RowNotFound(NOT_FOUND)
    return event_document(row)


def list_events(
    connection: sa.Connection, actor: Actor, wanted: UsageFilter, *, limit: int, cursor: str | None
) -> tuple[list[EventDocument], str | None]:
    """A stretch of the events that the actor may see, by grant and number, archived or not, and the
    next cursor.
    """
    after = ("", 0) if cursor is None else _place(cursor)
    mine = (visible_to(actor), *wanted.of_grants)
    place = usage_event.c.grant_id, usage_event.c.number
    statement = (
        EVENTS.where(*mine, *wanted.of_events, _is_behind(*place, after))
        .order_by(*place)
        .limit(limit + 1)
    )
    # What is left of a month while it is removed is read from its file already.
    kept = usage_event.c.number > grant_state.c.archived_to
    rows = connection.execute(statement.where(kept)).all()
    old = archived_after(connection, mine, wanted.within_us, after, limit + 1)
    if old:
        with shown(connection, [*old, *_pieces(rows)]):
            rows = connection.execute(statement).all()
    page = rows[:limit]
    more = len(rows) > limit
    next_cursor = encode_cursor(f"{page[-1].grant_id}:{page[-1].number}") if more else None
    return [event_document(row) for row in page], next_cursor


def _is_behind(
    grant_id: sa.ColumnElement[str], number: sa.ColumnElement[int], after: tuple[str, int]
) -> sa.ColumnElement[bool]:
    return sa.or_(grant_id > after[0], sa.and_(grant_id == after[0], number > after[1]))


def _pieces(rows: Sequence[sa.Row[Any]]) -> Iterator[Piece]:
    """The events by grant: time and numbers rise together, so each grant's are one range."""
    for grant_id, found in groupby(rows, key=lambda row: row.grant_id):
        numbers = [row.number for row in found]
        yield Piece(grant_id, numbers[0], numbers[-1])


def _place(cursor: str) -> tuple[str, int]:
    grant_id, _, number = decode_cursor(cursor).partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18) or "\0" in grant_id:
        raise Malformed("This cursor was not given out here.")
    return grant_id, int(number)
