"""How we prove ourselves to an identity provider, and what becomes of one."""

from __future__ import annotations

from enum import StrEnum


class ProviderAuth(StrEnum):
    """How our token requests prove who we are (OpenID Connect Core §9)."""

    SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a method's name
    SECRET_POST = "client_secret_post"  # noqa: S105 - a method's name
    PRIVATE_KEY = "private_key_jwt"


class ProviderState(StrEnum):
    """Whether people come by it."""

    ATTACHED = "attached"
    DETACHED = "detached"


class DomainState(StrEnum):
    """Whether a domain counts."""

    CLAIMED = "claimed"
    CONFIRMED = "confirmed"
