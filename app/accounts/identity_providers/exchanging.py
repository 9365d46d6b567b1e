"""Exchanging: the code that a browser brought back for claims of who came, at their provider.

Waits for a stranger: never within a transaction that writes.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey

from app.accounts.identity_providers.announcements import Announcement
from app.accounts.identity_providers.attaching import ASSERTION_ALGORITHM, seal_purpose
from app.accounts.identity_providers.discovering import JSON, fetch_keys, hear
from app.accounts.identity_providers.errors import (
    ArrivalRefused,
    IdentityProviderRefused,
    Why,
)
from app.accounts.identity_providers.id_tokens import Expected, KeyUnknown, verified_claims
from app.accounts.identity_providers.leaving import callback_url, nonce_of, verifier_of
from app.accounts.identity_providers.models import IdentityProvider
from app.accounts.identity_providers.states import ProviderAuth
from app.accounts.oauth.parameters import FORM
from app.db.installation import Installation
from app.http.asking import Question
from app.kernel.actor import ANONYMOUS
from app.kernel.clock import epoch_us

ASSERTION_LIFE_S = 60
KEYS_RESTED = timedelta(minutes=1)
"""New keys are asked for at most this often: unknown names in tokens cost the provider nothing."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Returned:
    """What a browser brought back, and what it is bound to."""

    code: str
    state: str
    cookie: str


class _TokenAnswer(msgspec.Struct):
    id_token: str


def claims_for(
    installation: Installation, provider: IdentityProvider, returned: Returned
) -> dict[str, Any]:
    """Who came, as their provider says in a token that holds.

    Refuses with `ArrivalRefused`; raises `IdentityProviderAway`.
    """
    announced = msgspec.convert(provider.announced, Announcement)
    try:
        token = _redeem(installation, provider, announced, returned)
    except IdentityProviderRefused as error:
        raise ArrivalRefused(Why.NOT_TRUSTED, "The provider's answer cannot be read.") from error
    expected = Expected(
        issuer=provider.issuer,
        client_id=provider.client_id,
        nonce=nonce_of(returned.state, returned.cookie),
        algorithms=announced.algorithms,
        now_s=epoch_us(installation.clock.now()) // 1_000_000,
    )
    try:
        return verified_claims(token, provider.signing_keys, expected)
    except KeyUnknown:
        pass
    try:
        return verified_claims(token, _fresh_keys(installation, provider, announced), expected)
    except (KeyUnknown, IdentityProviderRefused) as error:
        raise ArrivalRefused(Why.NOT_TRUSTED, "The token is signed by no key of theirs.") from error


def _redeem(
    installation: Installation,
    provider: IdentityProvider,
    announced: Announcement,
    returned: Returned,
) -> str:
    form = {
        "grant_type": "authorization_code",
        "code": returned.code,
        "redirect_uri": callback_url(installation),
        "code_verifier": verifier_of(returned.state, returned.cookie),
    }
    headers = {**JSON, "Content-Type": FORM}
    _prove_who_we_are(installation, provider, announced, form, headers)
    question = Question(announced.token_endpoint, urlencode(form).encode(), headers)
    heard = hear(installation.settings, question)
    try:
        if heard.status == 200:
            return msgspec.json.decode(heard.body, type=_TokenAnswer).id_token
    except (ValueError, RecursionError):
        pass
    raise ArrivalRefused(Why.NOT_TRUSTED, "The provider gave no token for the code.")


def _prove_who_we_are(
    installation: Installation,
    provider: IdentityProvider,
    announced: Announcement,
    form: dict[str, str],
    headers: dict[str, str],
) -> None:
    credential = installation.keys.unseal(provider.sealed_credential, seal_purpose(provider.id))
    match provider.auth_method:
        case ProviderAuth.SECRET_BASIC:
            # RFC 6749 §2.3.1: both halves are form-encoded first.
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(credential.decode())}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        case ProviderAuth.SECRET_POST:
            form |= {"client_id": provider.client_id, "client_secret": credential.decode()}
        case ProviderAuth.PRIVATE_KEY:
            form |= {
                "client_id": provider.client_id,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": _assertion(installation, provider, announced, credential),
            }


def _assertion(
    installation: Installation,
    provider: IdentityProvider,
    announced: Announcement,
    credential: bytes,
) -> str:
    """RFC 7523 §3, for this provider's token endpoint and by a key that is for it alone."""
    jwk = json.loads(credential)
    now_s = epoch_us(installation.clock.now()) // 1_000_000
    claims = {
        "iss": provider.client_id,
        "sub": provider.client_id,
        "aud": announced.token_endpoint,
        "jti": secrets.token_urlsafe(16),
        "iat": now_s,
        "exp": now_s + ASSERTION_LIFE_S,
    }
    header = {"alg": ASSERTION_ALGORITHM, "kid": jwk["kid"]}
    return jwt.encode(header, claims, ECKey.import_key(jwk), algorithms=[ASSERTION_ALGORITHM])


def _fresh_keys(
    installation: Installation, provider: IdentityProvider, announced: Announcement
) -> dict[str, Any]:
    if installation.clock.now() - provider.keys_at < KEYS_RESTED:
        raise KeyUnknown
    found = fetch_keys(installation.settings, announced)
    with installation.transaction(ANONYMOUS) as session:
        row = session.get_one(IdentityProvider, provider.id, with_for_update=True)
        row.signing_keys, row.keys_at = found, installation.clock.now()
    return found
