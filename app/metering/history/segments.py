"""Segments: a grant's events under one Merkle root, so that one audit leaf proves thousands.

Sealing never stops calls: what is numbered never changes, so only the note of it takes the lock.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.audit.merkle import root_of_hashes
from app.audit.recording import record
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.metering.history.events import event_hash, events_between
from app.metering.tables import grant_state, usage_segment

MAX_EVENTS = 4096


@dataclass(frozen=True, slots=True)
class Segment:
    """Events `first_number` to `last_number` of a grant and their root, 64 hex digits."""

    grant_id: str
    first_number: int
    last_number: int
    root: str


def seal_due(installation: Installation) -> None:
    """Seal what was settled since the last seal, and record each segment as an audit leaf.

    Safe to run anywhere at any time: a segment is made once and its leaf is recorded once.
    """
    with installation.usage_transaction(writes=False) as connection:
        due = list(
            connection.execute(
                sa.select(grant_state.c.grant_id)
                .where(grant_state.c.sealed_to < grant_state.c.last_number)
                .order_by(grant_state.c.grant_id)
            ).scalars()
        )
    for grant_id in due:
        while (segment := seal_grant(installation, grant_id)) is not None:
            if segment.last_number - segment.first_number + 1 < MAX_EVENTS:
                break
    record_segments(installation)


def seal_grant(installation: Installation, grant_id: str) -> Segment | None:
    """Seal the grant's oldest unsealed events, at most `MAX_EVENTS`; None when there are none, or
    when somebody else was faster.
    """
    segment = _next_segment(installation, grant_id)
    if segment is None:
        return None
    with installation.usage_transaction() as connection:
        sealed = connection.execute(
            sa.update(grant_state)
            .where(
                grant_state.c.grant_id == grant_id,
                grant_state.c.sealed_to == segment.first_number - 1,
            )
            .values(sealed_to=segment.last_number)
        )
        if sealed.rowcount == 0:
            return None
        connection.execute(
            sa.insert(usage_segment).values(
                grant_id=grant_id,
                first_number=segment.first_number,
                last_number=segment.last_number,
                root=segment.root,
                sealed_at_us=installation.clock.now_us(),
            )
        )
    return segment


def record_segments(installation: Installation) -> None:
    """Record an audit leaf for each segment that has none yet; the log keeps one per segment."""
    with installation.usage_transaction(writes=False) as connection:
        rows = connection.execute(
            sa.select(usage_segment, grant_state)
            .join(grant_state, grant_state.c.grant_id == usage_segment.c.grant_id)
            .where(usage_segment.c.leaf_id.is_(None))
            .order_by(usage_segment.c.grant_id, usage_segment.c.first_number)
        ).all()
    for row in rows:
        with installation.transaction(job_actor("usage.seal")) as session:
            leaf_id = record(
                session,
                "usage:sealed",
                row.grant_id,
                organisations=(row.buyer_id, row.provider_id),
                dedupe_key=f"segment:{row.grant_id}:{row.first_number}",
                grant_id=row.grant_id,
                contract_id=row.contract_id,
                first_number=row.first_number,
                last_number=row.last_number,
                root=row.root,
            )
        with installation.usage_transaction() as connection:
            connection.execute(
                sa.update(usage_segment)
                .where(
                    usage_segment.c.grant_id == row.grant_id,
                    usage_segment.c.first_number == row.first_number,
                )
                .values(leaf_id=leaf_id)
            )


def segment_root(connection: sa.Connection, grant_id: str, first: int, last: int) -> str:
    """The root over the events `first` to `last` as they stand now, 64 hex digits."""
    events = events_between(connection, grant_id, first, last)
    return root_of_hashes(map(event_hash, events)).hex()


def _next_segment(installation: Installation, grant_id: str) -> Segment | None:
    with installation.usage_transaction(writes=False) as connection:
        state = connection.execute(
            sa.select(grant_state.c.sealed_to, grant_state.c.last_number).where(
                grant_state.c.grant_id == grant_id
            )
        ).one_or_none()
        if state is None or state.sealed_to == state.last_number:
            return None
        first = state.sealed_to + 1
        last = min(state.last_number, state.sealed_to + MAX_EVENTS)
        return Segment(grant_id, first, last, segment_root(connection, grant_id, first, last))
