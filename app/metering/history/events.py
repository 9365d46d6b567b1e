"""Events as they are proven: one document per settled call, the same wherever it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.audit.merkle import Hash, leaf_hash
from app.kernel.canonical import canonical
from app.kernel.clock import from_epoch_us, rfc3339
from app.metering.history.history import history
from app.metering.tables import grant_state, grant_terms, usage_event, usage_report

EventDocument = dict[str, Any]

EVENTS: sa.Select[Any] = (
    sa.select(
        usage_event,
        grant_state.c.contract_id,
        grant_state.c.listing_id,
        grant_state.c.buyer_id,
        grant_state.c.provider_id,
        grant_terms.c.plan_id,
        grant_terms.c.terms_sha256,
        usage_report.c.source,
        usage_report.c.source_id,
        usage_report.c.occurred_at_us,
        usage_report.c.corrects,
    )
    .join(grant_state, grant_state.c.grant_id == usage_event.c.grant_id)
    .join(
        grant_terms,
        sa.and_(
            grant_terms.c.grant_id == usage_event.c.grant_id,
            grant_terms.c.epoch == usage_event.c.epoch,
        ),
    )
    .outerjoin(
        usage_report,
        sa.and_(
            usage_report.c.grant_id == usage_event.c.grant_id,
            usage_report.c.number == usage_event.c.number,
        ),
    )
)
"""Every event with whose it is and under which terms, and which report it came from, if any."""


def event_document(row: sa.Row[Any]) -> EventDocument:
    """A row of `EVENTS` as the document that segments are made of.

    What a provider reported has a member `reported` besides; a call has none.
    """
    document = {
        "event_id": row.event_id,
        "grant_id": row.grant_id,
        "number": row.number,
        "kind": row.kind,
        "voids": row.voids,
        "settled_at": rfc3339(from_epoch_us(row.settled_at_us)),
        "meter": row.meter,
        "units": row.units,
        "granted_units": row.granted_units,
        "operation": row.operation,
        "status": row.status,
        "bytes": row.bytes,
        "request_sha256": row.request_sha256,
        "contract_id": row.contract_id,
        "listing_id": row.listing_id,
        "buyer_id": row.buyer_id,
        "provider_id": row.provider_id,
        "plan_id": row.plan_id,
        "terms_sha256": row.terms_sha256,
    }
    if row.source is not None:
        document["reported"] = {
            "source": row.source,
            "id": row.source_id,
            "occurred_at": rfc3339(from_epoch_us(row.occurred_at_us)),
            "corrects": row.corrects,
        }
    return document


def events_between(
    connection: sa.Connection, grant_id: str, first: int, last: int
) -> Iterator[EventDocument]:
    """The grant's events `first` to `last`, both included, by number, archived or not."""
    with history(connection, grant_id, first, last):
        rows = connection.execute(
            EVENTS.where(
                usage_event.c.grant_id == grant_id, usage_event.c.number.between(first, last)
            ).order_by(usage_event.c.number)
        ).all()
    for row in rows:
        yield event_document(row)


def event_hash(event: EventDocument) -> Hash:
    """The event as a leaf of its segment's tree."""
    return leaf_hash(canonical(event))
