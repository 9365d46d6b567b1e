"""The meter's part of the chain: the settled calls of a contract, by number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import sqlalchemy as sa

from app.audit.links import Link
from app.metering.history.history import Piece, archived_place, shown
from app.metering.tables import grant_state, usage_event
from app.metering.usage.finding import place_of

SHOWN_EVENTS = 1000


def contract_of(connection: sa.Connection, event_id: str) -> str | None:
    """The contract that a usage event was settled under; None for an unknown one."""
    place = place_of(connection, event_id) or archived_place(connection, event_id)
    if place is None:
        return None
    of_grant = grant_state.c.grant_id == place[0]
    return connection.execute(sa.select(grant_state.c.contract_id).where(of_grant)).scalar()


def links_of(connection: sa.Connection, contract_id: str, asked: str) -> Iterator[Link]:
    """The contract's events: the first thousand, and the one that was asked for."""
    wanted = (
        sa.select(usage_event)
        .join(grant_state, grant_state.c.grant_id == usage_event.c.grant_id)
        .where(
            grant_state.c.contract_id == contract_id,
            sa.or_(usage_event.c.number <= SHOWN_EVENTS, usage_event.c.event_id == asked),
        )
        .order_by(usage_event.c.grant_id, usage_event.c.number)
    )
    pieces = _archived(connection, contract_id, asked)
    with shown(connection, pieces) if pieces else nullcontext():
        events = connection.execute(wanted).all()
    for event in events:
        facts = {"grant_id": event.grant_id, "number": event.number, "units": event.units}
        yield Link(event.event_id, "usage event", {**facts, "kind": event.kind})


def _archived(connection: sa.Connection, contract_id: str, asked: str) -> list[Piece]:
    """What is to be shown of a contract whose first events are archived; nothing where none is."""
    grant_ids = connection.execute(
        sa.select(grant_state.c.grant_id).where(
            grant_state.c.contract_id == contract_id, grant_state.c.archived_to > 0
        )
    ).scalars()
    pieces = [Piece(grant_id, 1, SHOWN_EVENTS) for grant_id in grant_ids]
    if not pieces:
        return []
    place = connection.execute(
        sa.select(usage_event.c.grant_id, usage_event.c.number).where(
            usage_event.c.grant_id == pieces[0].grant_id, usage_event.c.event_id == asked
        )
    ).one_or_none()
    mine = grant_state.c.contract_id == contract_id
    found = Piece(*place, place.number) if place else archived_place(connection, asked, mine)
    if found is not None and found.last > SHOWN_EVENTS:
        pieces.append(found)
    return pieces
