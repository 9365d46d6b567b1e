"""The life of an organisation's verification, and other closed sets of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class OrganisationKind(StrEnum):
    """What kind of body an organisation is."""

    ENTERPRISE = "enterprise"
    DEPARTMENT = "department"
    AUTHORITY = "authority"
    ASSOCIATION = "association"
    LAW_FIRM = "law_firm"
    ASSESSOR = "assessor"


class VerificationState(StrEnum):
    """How far an organisation's real name is verified."""

    NONE = "NONE"
    PENDING = "PENDING"
    VERIFIED = "VERIFIED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Decision(StrEnum):
    """What a reviewer decided."""

    VERIFIED = "verified"
    REJECTED = "rejected"


class AuthMethod(StrEnum):
    """How a client proves who it is at the token endpoint."""

    SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a method's name
    PRIVATE_KEY_JWT = "private_key_jwt"
    NONE = "none"


class GrantType(StrEnum):
    """By what a client gets its tokens (RFC 7591 §2)."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a grant type's name
    CLIENT_CREDENTIALS = "client_credentials"


NEXT: Mapping[VerificationState, frozenset[VerificationState]] = {
    VerificationState.NONE: frozenset({VerificationState.PENDING}),
    VerificationState.PENDING: frozenset({VerificationState.VERIFIED, VerificationState.REJECTED}),
    # A verified organisation renews while it trades on: it stays VERIFIED until that is decided.
    VerificationState.VERIFIED: frozenset(
        {VerificationState.VERIFIED, VerificationState.REJECTED, VerificationState.EXPIRED}
    ),
    VerificationState.REJECTED: frozenset({VerificationState.PENDING}),
    # A renewal that was asked for in time may still be decided after the day has passed.
    VerificationState.EXPIRED: frozenset(
        {VerificationState.PENDING, VerificationState.VERIFIED, VerificationState.REJECTED}
    ),
}


def may_move(old: VerificationState, new: VerificationState) -> bool:
    """Whether the table has this step."""
    return new in NEXT[old]
