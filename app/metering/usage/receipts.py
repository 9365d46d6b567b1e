"""Receipts: the proof of one call that anybody can check without us."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session

from app.audit.errors import NotYetSealed
from app.audit.exporting import export_receipt
from app.audit.merkle import Hash, appended, inclusion_proof
from app.audit.verifying import SegmentPart, encoded
from app.metering.history.events import EventDocument, event_hash, events_between
from app.metering.tables import usage_segment


def export_event_receipt(
    session: Session, connection: sa.Connection, event: EventDocument
) -> bytes:
    """The receipt of an event: its path to its segment's root, and that root's place in the log.

    `connection` is on the usage store. Refuses with `NotYetSealed` until the segment is under a
    checkpoint.
    """
    number = event["number"]
    segment = connection.execute(
        sa.select(usage_segment).where(
            usage_segment.c.grant_id == event["grant_id"],
            usage_segment.c.first_number <= number,
            usage_segment.c.last_number >= number,
        )
    ).one_or_none()
    if segment is None or segment.leaf_id is None:
        raise NotYetSealed("The call will be sealed within a minute; ask again then.")
    first, last = segment.first_number, segment.last_number
    nodes: dict[tuple[int, int], Hash] = {}

    def read(level: int, index: int) -> Hash:
        return nodes[level, index]

    events = events_between(connection, segment.grant_id, first, last)
    for node, value in appended(0, map(event_hash, events), read):
        nodes[node] = value
    path = inclusion_proof(number - first, last - first + 1, read)
    return export_receipt(session, segment.leaf_id, SegmentPart(event, encoded(path)))
