"""Issuing: access tokens as RFC 9068 wants them, signed by the token key of the moment."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from joserfc import jwt
from sqlmodel import Session

from app.accounts.oauth.token_keys import ensure_token_key, opened_key
from app.accounts.oauth.tokens import LIFE_S, TOKEN_TYPE
from app.accounts.scopes import scope_text
from app.db.installation import installation_of
from app.db.session import now
from app.kernel.clock import epoch_us
from app.kernel.jwk import ALGORITHM


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """Whom a token speaks for: `subject` is a client's id, or that of a person who uses it, by
    what `delegation_id` names."""

    subject: str
    client_id: str
    organisation_id: str
    scopes: Iterable[str]
    roles: Iterable[str] = ()
    delegation_id: str | None = None


@dataclass(frozen=True)
class AccessToken:
    """A token, its `jti` and what it may be used for."""

    text: str
    jti: str
    scope: str


def issue_token(session: Session, bearer: Bearer) -> AccessToken:
    """An access token for `bearer`, good from now for `LIFE_S` seconds."""
    installation = installation_of(session)
    issuer = installation.settings.public_url
    now_s = epoch_us(now(session)) // 1_000_000
    row = ensure_token_key(session)
    jti = secrets.token_urlsafe(16)
    scope = scope_text(bearer.scopes)
    claims = {
        "iss": issuer,
        "aud": issuer,
        "sub": bearer.subject,
        "client_id": bearer.client_id,
        "org": bearer.organisation_id,
        "scope": scope,
        "roles": sorted(bearer.roles),
        "iat": now_s,
        "exp": now_s + LIFE_S,
        "jti": jti,
    }
    if bearer.delegation_id is not None:
        claims["delegation"] = bearer.delegation_id
    header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": row.kid}
    text = jwt.encode(header, claims, opened_key(installation, row), algorithms=[ALGORITHM])
    return AccessToken(text, jti, scope)
