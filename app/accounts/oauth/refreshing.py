"""Refreshing: a token that gives a fresh access token, once; a second use ends the delegation.

Whoever uses a token that was used before may have stolen it, or is the one from whom it was
stolen: both lose (RFC 9700 §4.14.2). What must be remembered of it outlives the refusal.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlmodel import Session

from app.accounts.oauth.delegating import UsedBefore, Why, live_delegation
from app.accounts.oauth.models import Delegation, RefreshToken
from app.db.session import now
from app.kernel.canonical import sha256_hex

IDLE_LIFE = timedelta(days=14)
"""How long a refresh token waits for its use."""
LONGEST_LIFE = timedelta(days=90)
"""How long a delegation can be refreshed before the person is asked again."""


def new_refresh_token(session: Session, delegation: Delegation) -> str:
    """A refresh token of the delegation, which lasts as long as it from now on."""
    token = secrets.token_urlsafe(32)
    moment = now(session)
    lapses_at = min(moment + IDLE_LIFE, delegation.began_at + LONGEST_LIFE)
    session.add(
        RefreshToken(
            sha256=sha256_hex(token.encode()),
            delegation_id=delegation.id,
            issued_at=moment,
            lapses_at=lapses_at,
            used_at=None,
        )
    )
    delegation.lapses_at = max(delegation.lapses_at, lapses_at)
    return token


def find_refresh_token(
    session: Session, token: str, client_id: str
) -> tuple[RefreshToken, Delegation] | None:
    """The client's own refresh token while it lasts, and its delegation, both locked.

    Refuses with `UsedBefore` one that was used.
    """
    row = session.get(
        RefreshToken, sha256_hex(token.encode()), with_for_update=True, populate_existing=True
    )
    if row is None:
        return None
    delegation = live_delegation(session, row.delegation_id)
    if delegation is None or delegation.client_id != client_id:
        return None
    if row.used_at is not None:
        detail = "The refresh token was used before."
        raise UsedBefore(detail, delegation.id, Why.REFRESH_TOKEN_REUSED)
    return (row, delegation) if now(session) < row.lapses_at else None


def look_up_refresh_token(session: Session, token: str) -> RefreshToken | None:
    """The refresh token, used or not, unlocked."""
    return session.get(RefreshToken, sha256_hex(token.encode()))


def delegation_behind(session: Session, token: str, client_id: str) -> str | None:
    """The id of the delegation that this refresh token of the client's came of, used or not."""
    row = look_up_refresh_token(session, token)
    if row is None:
        return None
    delegation = session.get_one(Delegation, row.delegation_id)
    return delegation.id if delegation.client_id == client_id else None


def spend_refresh_token(session: Session, row: RefreshToken) -> None:
    """Mark it used; it stays, so that a second use is seen."""
    row.used_at = now(session)
