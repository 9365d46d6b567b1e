"""Ed25519 keys of organisations, as JWK (RFC 8037): made, kept in a file, shown, checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.kernel.canonical import canonical

ALGORITHM = "Ed25519"  # RFC 9864; older tools still write EdDSA
ALGORITHMS = (ALGORITHM, "EdDSA")

_MEMBERS = frozenset({"kty", "crv", "x", "kid", "alg", "use", "key_ops"})
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")

_P = 2**255 - 19
# The y of every point whose order divides 8: under such a key one signature fits any message, so
# it could never bind its owner ("Taming the many EdDSAs", Chalkias and others, 2020).
_WEAK_Y = frozenset(
    {0, 1, _P - 1}
    | {
        int.from_bytes(bytes.fromhex(y), "little")
        for y in (
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        )
    }
)


class JoseInvalid(ValueError):
    """A key or signature that does not hold; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of an Ed25519 key, as its 32 bytes."""

    raw: bytes

    @property
    def jwk(self) -> dict[str, str]:
        """The key as JWK, without anything optional."""
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url(self.raw)}

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint: the name that the key has before anybody registers it."""
        return base64url(hashlib.sha256(canonical(self.jwk)).digest())


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A whole Ed25519 key; its private half stays with the one who signs."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """The half that may be shown."""
        return PublicKey(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        """What signatures call this key: its thumbprint."""
        return self.public.thumbprint


def new_key() -> SigningKey:
    """A fresh key."""
    return SigningKey(Ed25519PrivateKey.generate())


def new_key_file(path: Path) -> PublicKey:
    """Make a key and keep it at `path`, mode 0600; `FileExistsError` rather than replace one."""
    key = new_key()
    jwk = {**key.public.jwk, "d": base64url(key.private.private_bytes_raw()), "kid": key.kid}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(jwk, file, indent=2)
        file.write("\n")
    return key.public


def load_key_file(path: Path) -> SigningKey:
    """The key kept at `path`; `JoseInvalid` for one that others may read or that is no key."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise JoseInvalid(f"{path} can be read by others: chmod 600 it")
        jwk = json_object(file.read(), "key file")
    secret = base64url_decode(jwk.get("d"))
    if len(secret) != 32:
        raise JoseInvalid(f"{path} holds no Ed25519 private key")
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(secret))
    if key.public != public_key({name: value for name, value in jwk.items() if name != "d"}):
        raise JoseInvalid(f"{path}: the two halves of the key do not belong together")
    return key


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """The key that a public JWK names; `JoseInvalid` for another kind, a private or a weak one."""
    if "d" in jwk:
        raise JoseInvalid("this is a private key: never send its 'd'")
    if unknown := sorted(set(jwk) - _MEMBERS):
        raise JoseInvalid(f"unknown member {unknown[0]!r} in the key")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise JoseInvalid("only Ed25519 keys (kty OKP) are taken")
    if jwk.get("alg", ALGORITHM) not in ALGORITHMS or jwk.get("use", "sig") != "sig":
        raise JoseInvalid("the key is not for Ed25519 signatures")
    raw = base64url_decode(jwk.get("x"))
    if len(raw) != 32:
        raise JoseInvalid("an Ed25519 public key has 32 bytes")
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _P or y in _WEAK_Y:
        raise JoseInvalid("this key would verify anything: make another")
    return PublicKey(raw)


def signature_holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is an Ed25519 signature of `message` by `key` (RFC 8032 §5.1.7)."""
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def base64url(data: bytes) -> str:
    """`data` in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_decode(text: object) -> bytes:
    """The bytes of unpadded base64url in its one canonical spelling; else `JoseInvalid`."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise JoseInvalid("base64url without padding is expected")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise JoseInvalid("base64url is cut short") from error
    if base64url(data) != text:
        raise JoseInvalid("base64url has stray bits at its end")
    return data


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `data`, each member once; else `JoseInvalid` about `what`."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise JoseInvalid(f"the {what} is not a JSON object with each member once") from error
    if not isinstance(value, dict):
        raise JoseInvalid(f"the {what} is not a JSON object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JoseInvalid("a member stands twice")
    return members
