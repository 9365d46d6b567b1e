"""The meter's part of the chain: the settled calls of a contract, by number."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from app.audit.links import Link
from app.metering.tables import grant_state, usage_event

SHOWN_EVENTS = 1000


def contract_of(connection: sa.Connection, event_id: str) -> str | None:
    """The contract that a usage event was settled under; None for an unknown one."""
    return connection.execute(
        sa.select(grant_state.c.contract_id)
        .join(usage_event, usage_event.c.grant_id == grant_state.c.grant_id)
        .where(usage_event.c.event_id == event_id)
    ).scalar_one_or_none()


def links_of(connection: sa.Connection, contract_id: str, asked: str) -> Iterator[Link]:
    """The contract's events: the first thousand, and the one that was asked for."""
    events = connection.execute(
        sa.select(usage_event)
        .join(grant_state, grant_state.c.grant_id == usage_event.c.grant_id)
        .where(
            grant_state.c.contract_id == contract_id,
            sa.or_(usage_event.c.number <= SHOWN_EVENTS, usage_event.c.event_id == asked),
        )
        .order_by(usage_event.c.grant_id, usage_event.c.number)
    )
    for event in events:
        facts = {"grant_id": event.grant_id, "number": event.number, "units": event.units}
        yield Link(event.event_id, "usage event", {**facts, "kind": event.kind})
