"""Does the log say of delegations what their rows say? Invariant A1, read-only."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.accounts.oauth.models import Delegation
from app.audit.told import with_tales

LEAVES = ("delegation:given", "delegation:ended")


def problems(session: Session) -> Iterator[str]:
    """Delegations that nobody gave, and ends that are told on one side only."""
    rows = select(Delegation).order_by(col(Delegation.id))
    for row, tale in with_tales(session, rows, LEAVES, lambda delegation: delegation.id):
        given = {"client_id": row.client_id, "person_id": row.person_id}
        if not tale.has("delegation:given", row.began_at, **given, scopes=row.scope.split()):
            yield f"A1: delegation {row.id} was given without a leaf"
        ended = tale.last("delegation:ended")
        if row.ended_at != (ended.at if ended else None):
            yield f"A1: delegation {row.id} has not ended as the log says"
