"""Signatures by an organisation's own key: JWS (RFC 7515) with Ed25519, read in one strict way.

The header is exactly `alg`, `kid`, `iat` and `typ`, nothing critical, and base64url stands in its
one canonical spelling. Terms are signed *detached* (Appendix F, b64 true): the payload stands
apart, as the bytes that both sides read. Proofs are *compact*. `typ` keeps the two apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from app.kernel.canonical import MAX_INTEGER, canonical
from app.kernel.clock import epoch_us
from app.kernel.jwk import (
    ALGORITHM,
    ALGORITHMS,
    JoseInvalid,
    PublicKey,
    SigningKey,
    base64url,
    base64url_decode,
    json_object,
    signature_holds,
)

TERMS_TYPE = "zhigu-terms+jws"
KEY_PROOF_TYPE = "zhigu-key-proof+jws"

HEADER_MEMBERS = frozenset({"alg", "kid", "iat", "typ"})
MAX_HEADER_CHARS = 1024
MAX_JWS_CHARS = 16_384

_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class JwsHeader:
    """What a signature says about itself; `iat` is the signer's own claim, in Unix seconds."""

    alg: str
    kid: str
    iat: int
    typ: str


def sign_detached(key: SigningKey, payload: bytes, *, typ: str, at: datetime) -> str:
    """A JWS by `key` over `payload`, which is left out of it: `header..signature`."""
    header, _, signature = sign_compact(key, payload, typ=typ, at=at).split(".")
    return f"{header}..{signature}"


def sign_compact(key: SigningKey, payload: bytes, *, typ: str, at: datetime) -> str:
    """A JWS by `key` that carries `payload`: `header.payload.signature`."""
    iat = epoch_us(at) // 1_000_000
    header = base64url(canonical({"alg": ALGORITHM, "kid": key.kid, "iat": iat, "typ": typ}))
    signed = f"{header}.{base64url(payload)}"
    return f"{signed}.{base64url(key.private.sign(signed.encode()))}"


def verify_detached(jws: str, payload: bytes, key: PublicKey, *, typ: str) -> JwsHeader:
    """The header of a detached JWS of type `typ` by `key` over `payload`; else `JoseInvalid`."""
    header, middle, signature = _parts(jws)
    if middle:
        raise JoseInvalid("the payload must be detached: header, two dots, signature")
    return _verify((header, base64url(payload), signature), key, typ)


def verify_compact(jws: str, key: PublicKey, *, typ: str) -> tuple[JwsHeader, bytes]:
    """The header and payload of a compact JWS of type `typ` by `key`; else `JoseInvalid`."""
    parts = _parts(jws)
    return _verify(parts, key, typ), base64url_decode(parts[1])


def read_header(jws: str) -> JwsHeader:
    """What a JWS says about itself, *unverified*: for finding the key by its `kid`."""
    return _header(_parts(jws)[0])


def _verify(parts: tuple[str, str, str], key: PublicKey, typ: str) -> JwsHeader:
    header, payload, signature = parts
    found = _header(header)
    if found.typ != typ:
        raise JoseInvalid(f"this signature is of type {found.typ!r}, not {typ!r}")
    if not signature_holds(key, f"{header}.{payload}".encode(), base64url_decode(signature)):
        raise JoseInvalid("the signature does not fit these bytes and this key")
    return found


def _parts(jws: str) -> tuple[str, str, str]:
    if len(jws) > MAX_JWS_CHARS:
        raise JoseInvalid("the signature is too long")
    parts = jws.split(".")
    if len(parts) != 3:
        raise JoseInvalid("a JWS has three parts")
    return parts[0], parts[1], parts[2]


def _header(encoded: str) -> JwsHeader:
    if len(encoded) > MAX_HEADER_CHARS:
        raise JoseInvalid("the header is too long")
    header = json_object(base64url_decode(encoded), "header")
    if "crit" in header:
        raise JoseInvalid("a header with 'crit' is not understood")
    if set(header) != HEADER_MEMBERS:
        raise JoseInvalid("the header must hold exactly alg, kid, iat and typ")
    alg, kid, iat, typ = (header[name] for name in ("alg", "kid", "iat", "typ"))
    if alg not in ALGORITHMS:
        raise JoseInvalid("alg must be Ed25519 or EdDSA")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise JoseInvalid("kid must be the name of a key")
    if type(iat) is not int or not 0 <= iat <= MAX_INTEGER:
        raise JoseInvalid("iat must be whole Unix seconds")
    if not isinstance(typ, str):
        raise JoseInvalid("typ must be text")
    return JwsHeader(alg, kid, iat, typ)
