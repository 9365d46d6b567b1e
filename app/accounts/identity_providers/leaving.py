"""Leaving: a browser is sent to an identity provider, with what only it can come back with.

`state` is random and kept by its hash. The nonce and the code verifier are worked out of it and of
the browser's cookie: they are as hard to guess, and nobody who reads the store knows them.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlmodel import Session

from app.accounts.identity_providers.announcements import Announcement
from app.accounts.identity_providers.discovering import discover
from app.accounts.identity_providers.errors import IdentityProviderAway, IdentityProviderRefused
from app.accounts.identity_providers.models import IdentityProvider, ProviderVisit
from app.accounts.identity_providers.queries import provider_for
from app.accounts.joining import fold_email
from app.accounts.oauth.limiting import count_visit
from app.db.installation import Installation, installation_of
from app.db.session import now
from app.kernel.actor import ANONYMOUS
from app.kernel.addresses import AddressRefused
from app.kernel.canonical import sha256_hex
from app.kernel.jwk import base64url

CALLBACK_PATH = "/oauth/company/callback"
VISIT_LIFE = timedelta(minutes=10)
ANNOUNCED_FOR = timedelta(hours=24)
SCOPE = "openid email profile"


def find_provider(installation: Installation, email: str, address: str) -> IdentityProvider | None:
    """The provider to which addresses of this domain lead; what it publishes is of today.

    Counts a try of this address, refuses with `TooManyTries`. Opens its own short transactions and
    may wait for the provider between them: call it before the request's own has begun.
    """
    with installation.transaction(ANONYMOUS) as session:
        count_visit(session, address)
        provider = provider_for(session, fold_email(email))
        is_old = provider is not None and now(session) - provider.announced_at >= ANNOUNCED_FOR
    if provider is None or not is_old:
        return provider
    try:
        found = discover(installation.settings, provider.issuer, provider.auth_method.value)
    except (IdentityProviderAway, IdentityProviderRefused, AddressRefused):
        # What it said before is good until it says otherwise.
        return provider
    with installation.transaction(ANONYMOUS) as session:
        row = session.get_one(IdentityProvider, provider.id, with_for_update=True)
        row.announced = msgspec.to_builtins(found.announced)
        row.signing_keys = found.signing_keys
        row.announced_at = row.keys_at = now(session)
    return row


def begin_visit(
    session: Session, provider: IdentityProvider, cookie: str, query: str, email: str
) -> str:
    """The address at the provider to which this browser goes; it may come back once."""
    state = secrets.token_urlsafe(32)
    moment = now(session)
    session.add(
        ProviderVisit(
            state_sha256=sha256_hex(state.encode()),
            browser_sha256=browser_digest(cookie),
            identity_provider_id=provider.id,
            query=query,
            began_at=moment,
            lapses_at=moment + VISIT_LIFE,
            used_at=None,
        )
    )
    announced = msgspec.convert(provider.announced, Announcement)
    where: str = prepare_grant_uri(
        announced.authorization_endpoint,
        client_id=provider.client_id,
        response_type="code",
        redirect_uri=callback_url(installation_of(session)),
        scope=SCOPE,
        state=state,
        nonce=nonce_of(state, cookie),
        code_challenge=create_s256_code_challenge(verifier_of(state, cookie)),
        code_challenge_method="S256",
        login_hint=email,
    )
    return where


def callback_url(installation: Installation) -> str:
    """The one address to which identity providers send people back."""
    return f"{installation.settings.public_url}{CALLBACK_PATH}"


def browser_digest(cookie: str) -> str:
    """What a visit remembers of the browser that began it."""
    return sha256_hex(f"zhigu-browser:{cookie}".encode())


def nonce_of(state: str, cookie: str) -> str:
    """What the ID token must repeat."""
    return _derived("nonce", state, cookie)


def verifier_of(state: str, cookie: str) -> str:
    """The code verifier (RFC 7636 §4.1)."""
    return _derived("verifier", state, cookie)


def _derived(purpose: str, state: str, cookie: str) -> str:
    return base64url(bytes.fromhex(sha256_hex(f"zhigu-visit:{purpose}:{state}:{cookie}".encode())))
