"""Revoking: an access token is taken back by its `jti`, a refresh token with all of its kin."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from app.accounts.models import Client
from app.accounts.oauth.delegating import Why, end_delegation
from app.accounts.oauth.models import RevokedToken
from app.accounts.oauth.refreshing import delegation_behind
from app.accounts.oauth.token_keys import public_keys
from app.accounts.oauth.tokens import SKEW_S, TokenInvalid, verify_access_token
from app.audit.recording import record
from app.db.installation import installation_of
from app.db.once import insert_once
from app.db.session import now
from app.kernel.clock import epoch_us, from_epoch_us


def revoke_token(session: Session, client: Client, token: str) -> None:
    """Take back `token` if it is a live one of this client; any other is as good as revoked.

    With a refresh token, all that the person has allowed the client here ends (RFC 7009 §2.1).
    """
    if delegation_id := delegation_behind(session, token, client.id):
        end_delegation(session, delegation_id, Why.CLIENT_DONE)
        return
    issuer = installation_of(session).settings.public_url
    now_s = epoch_us(now(session)) // 1_000_000
    try:
        actor, lapses_at_s = verify_access_token(public_keys(session).get, token, now_s, issuer)
    except TokenInvalid:
        return
    assert actor.token_id is not None
    assert actor.organisation_id is not None
    lapses_at = from_epoch_us(lapses_at_s * 1_000_000) + timedelta(seconds=SKEW_S)
    if actor.client_id != client.id or not mark_revoked(session, actor.token_id, lapses_at):
        return
    record(
        session,
        "token:revoked",
        client.id,
        organisations=(actor.organisation_id, client.organisation_id),
        jti=actor.token_id,
    )


def mark_revoked(session: Session, jti: str, lapses_at: datetime) -> bool:
    """Let the token `jti` hold no longer; False if it was so already, by a twin's doing too."""
    values = {"jti": jti, "revoked_at": now(session), "lapses_at": lapses_at}
    return insert_once(session, RevokedToken, values)
