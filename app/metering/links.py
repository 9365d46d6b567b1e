"""The meter's part of the chain: the settled calls of a contract, by number."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from app.audit.links import Link
from app.metering.tables import grant_state, usage_event, usage_segment

SHOWN_EVENTS = 1000


def contract_of(connection: sa.Connection, event_id: str) -> str | None:
    """The contract that a usage event was settled under; None for an unknown one."""
    return connection.execute(
        sa.select(grant_state.c.contract_id)
        .join(usage_event, usage_event.c.grant_id == grant_state.c.grant_id)
        .where(usage_event.c.event_id == event_id)
    ).scalar_one_or_none()


def links_of(connection: sa.Connection, contract_id: str) -> Iterator[Link]:
    """The contract's events, the first thousand, and its sealed segments' leaves."""
    grants = connection.execute(
        sa.select(grant_state).where(grant_state.c.contract_id == contract_id)
    ).all()
    for grant in grants:
        events = connection.execute(
            sa.select(usage_event)
            .where(usage_event.c.grant_id == grant.grant_id)
            .order_by(usage_event.c.number)
            .limit(SHOWN_EVENTS)
        )
        for event in events:
            facts = {"grant_id": event.grant_id, "number": event.number, "units": event.units}
            yield Link(event.event_id, "usage event", {**facts, "kind": event.kind})
        segments = connection.execute(
            sa.select(usage_segment)
            .where(usage_segment.c.grant_id == grant.grant_id, usage_segment.c.leaf_id.is_not(None))
            .order_by(usage_segment.c.first_number)
        )
        for segment in segments:
            numbers = {"first_number": segment.first_number, "last_number": segment.last_number}
            yield Link(segment.leaf_id, "segment leaf", {**numbers, "root": segment.root})
