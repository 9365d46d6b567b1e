"""What a strict client signs, written from the RFCs' text alone, without any code of ours."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int) -> str:
    return b64(value.to_bytes(size, "big"))


@dataclass
class Signer:
    """A key of one of the three kinds, and what it signs."""

    algorithm: str
    kid: str | None = "k1"
    private: Any = field(init=False)

    def __post_init__(self) -> None:
        if self.algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
        elif self.algorithm == "PS256":
            self.private = rsa.generate_private_key(65537, 2048)
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()

    @property
    def public(self) -> dict[str, Any]:
        """The bare JWK, as a thumbprint takes it (RFC 7638 §3.2)."""
        if self.algorithm == "ES256":
            point = self.private.public_key().public_numbers()
            return {
                "kty": "EC",
                "crv": "P-256",
                "x": number(point.x, 32),
                "y": number(point.y, 32),
            }
        if self.algorithm == "PS256":
            numbers = self.private.public_key().public_numbers()
            return {"kty": "RSA", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": b64(self.private.public_key().public_bytes_raw()),
        }

    @property
    def jwk(self) -> dict[str, Any]:
        return self.public if self.kid is None else {**self.public, "kid": self.kid}

    @property
    def thumbprint(self) -> str:
        text = json.dumps(self.public, sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode()).digest())

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        parts = [b64(json.dumps(part).encode()) for part in (header, claims)]
        message = ".".join(parts).encode()
        return ".".join([*parts, b64(self._signature(message))])

    def assertion(
        self, client_id: str, audience: Any, now_s: int, header: Any = None, **changes: Any
    ) -> str:
        """A client assertion (RFC 7523 §3); a change to None leaves a member out."""
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now_s,
            "exp": now_s + 60,
            "jti": secrets.token_urlsafe(16),
            **changes,
        }
        head = {"alg": self.algorithm, "kid": self.kid, **(header or {})}
        return self.sign(_said(head), _said(claims))

    def _signature(self, message: bytes) -> bytes:
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if self.algorithm == "PS256":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return bytes(self.private.sign(message, pss, hashes.SHA256()))
        return bytes(self.private.sign(message))


def _said(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
