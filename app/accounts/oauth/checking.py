"""Does the log say of delegations what their rows say, and are token keys ours? Read-only."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.accounts.oauth.models import Delegation, TokenKey
from app.accounts.oauth.token_keys import check_pair
from app.audit.told import with_tales
from app.db.installation import installation_of
from app.kernel.sealing import SealBroken

LEAVES = ("delegation:given", "delegation:ended")


def problems(session: Session) -> Iterator[str]:
    """Delegations that nobody gave, ends that are told on one side only, and planted keys."""
    yield from _key_problems(session)
    rows = select(Delegation).order_by(col(Delegation.id))
    for row, tale in with_tales(session, rows, LEAVES, lambda delegation: delegation.id):
        given = {"client_id": row.client_id, "person_id": row.person_id}
        if not tale.has("delegation:given", row.began_at, **given, scopes=row.scope.split()):
            yield f"A1: delegation {row.id} was given without a leaf"
        ended = tale.last("delegation:ended")
        if row.ended_at != (ended.at if ended else None):
            yield f"A1: delegation {row.id} has not ended as the log says"


def _key_problems(session: Session) -> Iterator[str]:
    for row in session.exec(select(TokenKey).order_by(col(TokenKey.kid))):
        try:
            check_pair(installation_of(session), row)
        except SealBroken as error:
            yield f"S1: token key {row.kid}: {error}"
