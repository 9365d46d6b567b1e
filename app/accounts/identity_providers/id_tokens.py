"""ID tokens of identity providers, verified (OpenID Connect Core §3.1.3.7); pure.

Nothing in a token's header is believed but the name of one of the provider's published keys. The
algorithm is one of ours, and one that goes with the key.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from app.accounts.identity_providers.errors import ArrivalRefused, Why
from app.kernel.jwk import JoseInvalid, base64url_decode, json_object, public_key

SKEW_S = 60
TOKEN_AGE_MAX_S = 600
TOKEN_MAX_CHARS = 16_384
KEYS_MAX = 100
RSA_MIN_BITS = 2048
SUBJECT_MAX_CHARS = 255

ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "Ed25519": ("OKP", "Ed25519"),
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "PS256": ("RSA", None),
    "RS256": ("RSA", None),
}
"""What may sign, with the kind of key and the curve; never `none`, nor anything symmetric."""

KEY_MEMBER_MAX_CHARS = 2000
_KEPT_MEMBERS = ("kid", "kty", "crv", "x", "y", "n", "e", "use", "alg")
_PUBLIC_MEMBERS = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}


class KeyUnknown(Exception):
    """The token names no published key: the provider may have changed its keys."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a token must say to be the answer to our request."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: Sequence[str]
    now_s: int


def verified_claims(token: str, key_set: Mapping[str, Any], expected: Expected) -> dict[str, Any]:
    """The claims of a token that holds and answers our request.

    Raises `KeyUnknown`, or refuses with `ArrivalRefused`.
    """
    try:
        claims = _signed_claims(token, key_set, expected.algorithms)
    except (JoseInvalid, JoseError, ValueError, TypeError) as error:
        raise _refused("the token cannot be verified") from error
    _must_be_for_us(claims, expected)
    _must_be_current(claims, expected.now_s)
    return claims


def kept_of(key: Mapping[str, Any]) -> dict[str, str]:
    """What of a published key is kept: what verifying needs, and nothing private or unprintable."""
    return {
        name: value
        for name in _KEPT_MEMBERS
        if isinstance(value := key.get(name), str)
        and len(value) <= KEY_MEMBER_MAX_CHARS
        and value.isascii()
        and value.isprintable()
    }


def signature_fits(algorithm: str, jwk: Mapping[str, Any], signed: str, signature: bytes) -> bool:
    """Whether `signature` is the key's, by `algorithm`, over `signed`."""
    key = _key(algorithm, jwk)
    if key is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns of the name EdDSA
        model = jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)
        try:
            return bool(model.verify(signed.encode(), signature, key))
        except (JoseError, ValueError):
            return False


def _signed_claims(
    token: str, key_set: Mapping[str, Any], algorithms: Sequence[str]
) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > TOKEN_MAX_CHARS or not token.isascii() or len(parts) != 3:
        raise JoseInvalid("an ID token is a signed JWT of bounded size")
    header = json_object(base64url_decode(parts[0]), "header")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise JoseInvalid("the header names no algorithm that we do")
    if algorithm not in algorithms or "crit" in header:
        raise JoseInvalid("the header asks for what we do not do")
    keys = _keys_named(key_set, kid, algorithm)
    if not keys:
        raise KeyUnknown
    # Without a name there must be no doubt (OpenID Connect Core §10.1).
    if len(keys) != 1:
        raise JoseInvalid("which key, is not told")
    signature = base64url_decode(parts[2])
    if not signature_fits(algorithm, keys[0], f"{parts[0]}.{parts[1]}", signature):
        if kid is None:
            raise KeyUnknown
        raise JoseInvalid("the signature does not hold")
    return json_object(base64url_decode(parts[1]), "claims")


def _keys_named(key_set: Mapping[str, Any], kid: object, algorithm: str) -> list[Mapping[str, Any]]:
    kind, curve = ALGORITHMS[algorithm]
    return [
        key
        for key in key_set.get("keys", ())[:KEYS_MAX]
        if isinstance(key, dict)
        and (kid is None or key.get("kid") == kid)
        and (key.get("kty"), key.get("crv") if curve else None) == (kind, curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) in _same(algorithm)
    ]


def _same(algorithm: str) -> tuple[str, ...]:
    """Two names of one algorithm (RFC 9864 §2.2)."""
    return ("Ed25519", "EdDSA") if algorithm in ("Ed25519", "EdDSA") else (algorithm,)


def _key(algorithm: str, jwk: Mapping[str, Any]) -> OKPKey | ECKey | RSAKey | None:
    """The public half of the key, or None if it is weak, broken or of another kind."""
    kind, curve = ALGORITHMS[algorithm]
    found: dict[str, Any] = {name: jwk.get(name) for name in _PUBLIC_MEMBERS[kind]}
    found["kty"] = kind
    if jwk.get("kty") != kind or (curve is not None and found["crv"] != curve):
        return None
    try:
        if kind == "OKP":
            public_key(found)
            return OKPKey.import_key(found)
        if kind == "EC":
            return ECKey.import_key(found)
        key = RSAKey.import_key(found)
        return key if key.public_key.key_size >= RSA_MIN_BITS else None
    except (JoseInvalid, JoseError, ValueError, TypeError, AttributeError):
        return None


def _must_be_for_us(claims: Mapping[str, Any], expected: Expected) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != expected.issuer:
        raise _refused("another issuer")
    if expected.client_id not in audiences:
        raise _refused("another audience")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise _refused("another authorized party")
    if claims.get("nonce") != expected.nonce:
        raise _refused("another nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_MAX_CHARS:
        raise _refused("no subject")
    if any(not " " <= character <= "~" for character in subject):
        raise _refused("no subject in ASCII")


def _must_be_current(claims: Mapping[str, Any], now_s: int) -> None:
    begins = [claims.get("iat"), claims.get("nbf", claims.get("iat"))]
    ends: Any = claims.get("exp")
    if any(type(moment) not in (int, float) for moment in (*begins, ends)):
        raise _refused("no times")
    if not now_s < ends + SKEW_S or any(not moment - SKEW_S <= now_s for moment in begins):
        raise _refused("not of this time")
    if not begins[0] > now_s - TOKEN_AGE_MAX_S - SKEW_S:
        raise _refused("too old")


def _refused(detail: str) -> ArrivalRefused:
    return ArrivalRefused(Why.NOT_TRUSTED, f"The ID token is refused: {detail}.")
