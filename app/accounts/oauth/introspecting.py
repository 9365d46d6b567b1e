"""Introspecting: what a token is good for now, told to a client that may know (RFC 7662).

A client learns of its own tokens and of those that act for its organisation; a client of the
operator's, of all. Of every other token, and of none at all, the answer is the same.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from app.accounts.models import Client, Person
from app.accounts.oauth.liveness import check_live
from app.accounts.oauth.models import Delegation
from app.accounts.oauth.refreshing import look_up_refresh_token
from app.accounts.oauth.registered_clients import RegisteredClient
from app.accounts.oauth.token_keys import public_keys
from app.accounts.oauth.tokens import TokenInvalid, verify_access_token
from app.accounts.scopes import scope_text
from app.db.installation import installation_of
from app.db.session import now
from app.kernel.clock import epoch_us

INACTIVE: dict[str, Any] = {"active": False}


def introspect(session: Session, asking: RegisteredClient, token: str) -> dict[str, Any]:
    """The members of RFC 7662 §2.2 for `token`; just `active: false` unless all is well."""
    found = _of_access_token(session, token) or _of_refresh_token(session, token)
    if found is None or not _may_know(asking, found):
        return INACTIVE
    return {"active": True, **found, "iss": installation_of(session).settings.public_url}


def _may_know(asking: RegisteredClient, found: dict[str, Any]) -> bool:
    if asking.organisation.is_operator or found["client_id"] == asking.row.id:
        return True
    return bool(found["org"] == asking.organisation.id)


def _of_access_token(session: Session, token: str) -> dict[str, Any] | None:
    issuer = installation_of(session).settings.public_url
    now_s = epoch_us(now(session)) // 1_000_000
    try:
        actor, lapses_at_s = verify_access_token(public_keys(session).get, token, now_s, issuer)
        check_live(session, actor)
    except TokenInvalid:
        return None
    return {
        "token_type": "Bearer",
        "scope": scope_text(actor.scopes),
        "client_id": actor.client_id,
        "sub": actor.id,
        "org": actor.organisation_id,
        "aud": issuer,
        "exp": lapses_at_s,
        "jti": actor.token_id,
    }


def _of_refresh_token(session: Session, token: str) -> dict[str, Any] | None:
    row = look_up_refresh_token(session, token)
    if row is None or row.used_at is not None or now(session) >= row.lapses_at:
        return None
    delegation = session.get_one(Delegation, row.delegation_id)
    client = session.get_one(Client, delegation.client_id)
    person = session.get_one(Person, delegation.person_id)
    if delegation.ended_at is not None or client.revoked_at is not None:
        return None
    if person.removed_at is not None:
        return None
    return {
        "scope": delegation.scope,
        "client_id": client.id,
        "sub": person.id,
        "org": person.organisation_id,
        "exp": epoch_us(row.lapses_at) // 1_000_000,
        "iat": epoch_us(row.issued_at) // 1_000_000,
    }
