"""Signed texts that clients send, assertions and proofs: compact JWS with claims, read strictly.

Nothing in a header is believed but the algorithm, where the key is for it: headers that lead to
other keys, and critical ones, are refused (RFC 8725 §3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.accounts.client_keys import ClientKey
from app.kernel.jwk import JoseInvalid, base64url_decode, json_object

MAX_CHARS = 8192
MAX_JTI_CHARS = 256

_REFUSED = frozenset({"crit", "b64", "jku", "x5u", "x5c", "zip", "enc"})


@dataclass(frozen=True)
class SignedText:
    """What a signed text says, *unverified* until `is_by` says whose it is."""

    header: dict[str, Any]
    claims: dict[str, Any]
    message: bytes
    signature: bytes

    def is_by(self, key: ClientKey) -> bool:
        """Whether the key has signed it."""
        return key.verifies(str(self.header["alg"]), self.message, self.signature)

    def text(self, claim: str, limit: int = 2000) -> str:
        """A claim that must be text; else `JoseInvalid`."""
        value = self.claims.get(claim)
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise JoseInvalid(f"the claim {claim!r} is text")
        return value

    def moment_s(self, claim: str, default: int | None = None) -> int:
        """A claim that must be whole Unix seconds; else `JoseInvalid`."""
        value = self.claims.get(claim, default)
        if type(value) is not int or value < 0:
            raise JoseInvalid(f"the claim {claim!r} is whole Unix seconds")
        return value


def read_signed(text: str, *, may_bring_key: bool = False) -> SignedText:
    """The parts of a compact JWS; `JoseInvalid` if it is none, or its header leads elsewhere."""
    parts = text.split(".")
    if len(text) > MAX_CHARS or len(parts) != 3:
        raise JoseInvalid("a compact JWS of three parts is expected")
    header = json_object(base64url_decode(parts[0]), "header")
    refused = _REFUSED if may_bring_key else _REFUSED | {"jwk"}
    if found := sorted(refused & set(header)):
        raise JoseInvalid(f"a header with {found[0]!r} is refused")
    if not isinstance(header.get("alg"), str):
        raise JoseInvalid("the header names its algorithm")
    return SignedText(
        header,
        json_object(base64url_decode(parts[1]), "claims"),
        f"{parts[0]}.{parts[1]}".encode(),
        base64url_decode(parts[2]),
    )
