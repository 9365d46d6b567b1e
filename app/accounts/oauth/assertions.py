"""Assertions: a client proves itself by its own key, `private_key_jwt` (RFC 7523 §2.2 and §3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.accounts.client_keys import ClientKey
from app.accounts.oauth.signed_texts import MAX_JTI_CHARS, SignedText
from app.accounts.oauth.tokens import SKEW_S
from app.kernel.jwk import JoseInvalid

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE_S = 600

_TYPES = (None, "JWT", "client-authentication+jwt")


@dataclass(frozen=True)
class Assertion:
    """An assertion that holds, once: `jti` is spent until `lapses_at_s` (Unix seconds)."""

    jti: str
    lapses_at_s: int


def check_assertion(
    signed: SignedText,
    keys: Sequence[ClientKey],
    client_id: str,
    audiences: Collection[str],
    now_s: int,
) -> Assertion:
    """The client's own assertion for one of `audiences`, of now; else `JoseInvalid`."""
    header, claims = signed.header, signed.claims
    if header.get("typ") not in _TYPES:
        raise JoseInvalid("the assertion is of another type")
    named = [key for key in keys if header.get("kid") in (None, key.kid)]
    # Without a name every key may be meant, but then there is one only.
    if len(named) != 1 or not signed.is_by(named[0]):
        raise JoseInvalid("the assertion is not by a key of this client")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise JoseInvalid("the assertion speaks for somebody else")
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if not isinstance(audience, str) or audience not in audiences:
        raise JoseInvalid("the assertion is for somebody else")
    lapses_at_s = signed.moment_s("exp")
    starts = [signed.moment_s(name, now_s) for name in ("iat", "nbf")]
    if not now_s - SKEW_S < lapses_at_s <= now_s + LONGEST_LIFE_S + SKEW_S:
        raise JoseInvalid("the assertion has lapsed, or lasts too long")
    if any(moment > now_s + SKEW_S for moment in starts):
        raise JoseInvalid("the assertion is from the future")
    return Assertion(signed.text("jti", MAX_JTI_CHARS), lapses_at_s + SKEW_S)
