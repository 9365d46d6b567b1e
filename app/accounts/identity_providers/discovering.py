"""Discovering: asking an identity provider what it publishes. Waits for a stranger: never within a
transaction that writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from app.accounts.identity_providers.announcements import (
    DISCOVERY_PATH,
    Announcement,
    check_endpoint,
    read_announcement,
)
from app.accounts.identity_providers.errors import IdentityProviderAway, IdentityProviderRefused
from app.accounts.identity_providers.id_tokens import KEYS_MAX, kept_of
from app.http.asking import Heard, NotHeard, Question, Why, ask, must_be_public
from app.settings import Settings

JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Discovered:
    """What an identity provider publishes: of itself, and its keys."""

    announced: Announcement
    signing_keys: dict[str, Any]


def discover(settings: Settings, issuer: str, auth_method: str) -> Discovered:
    """What the provider of this issuer publishes.

    Refuses with `IdentityProviderRefused` or `AddressRefused`; raises `IdentityProviderAway`.
    """
    allowances = settings.upstream_allowances()
    check_endpoint(issuer, allowances)
    if "?" in issuer:
        raise IdentityProviderRefused("An issuer has no query.", reason="issuer")
    _must_be_public(settings, issuer)
    # OpenID Connect Discovery 1.0 §4.1: a slash at the issuer's end is taken off first.
    heard = hear(settings, Question(issuer.removesuffix("/") + DISCOVERY_PATH, headers=JSON))
    if heard.status != 200:
        raise IdentityProviderRefused(
            "It publishes no OpenID configuration that can be read.", reason="document"
        )
    announced = read_announcement(heard.body, issuer, auth_method, allowances)
    for endpoint in (announced.token_endpoint, announced.jwks_uri):
        _must_be_public(settings, endpoint)
    return Discovered(announced, fetch_keys(settings, announced))


def fetch_keys(settings: Settings, announced: Announcement) -> dict[str, Any]:
    """The keys that the provider signs with, now; fails as `discover` does."""
    heard = hear(settings, Question(announced.jwks_uri, headers=JSON))
    try:
        found = msgspec.json.decode(heard.body, type=dict[str, Any]) if heard.status == 200 else {}
    except (ValueError, RecursionError):
        found = {}
    keys = found.get("keys")
    if not isinstance(keys, list) or not keys or len(keys) > KEYS_MAX:
        raise IdentityProviderRefused("It publishes no keys that can be read.", reason="keys")
    return {"keys": [kept_of(key) for key in keys if isinstance(key, dict)]}


def _must_be_public(settings: Settings, url: str) -> None:
    try:
        must_be_public(url, settings.upstream_allowances())
    except NotHeard as error:
        raise _away() from error


def hear(settings: Settings, question: Question) -> Heard:
    """The provider's answer; `IdentityProviderAway` for none, also one that says it is broken."""
    try:
        heard = ask(question, settings.upstream_allowances())
    except NotHeard as error:
        if error.why in (Why.AWAY, Why.BUSY):
            raise _away() from error
        raise IdentityProviderRefused(
            "The identity provider's answer is not one that we take.", reason=error.why.value
        ) from error
    if heard.status >= 500:
        raise _away()
    return heard


def _away() -> IdentityProviderAway:
    return IdentityProviderAway(
        "The identity provider did not answer; try again.", retry_after_s=30
    )
