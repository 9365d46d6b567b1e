"""Client keys: the public keys by which a client proves itself, read from a JWK set (RFC 7517).

Ed25519, ECDSA on P-256 and RSA-PSS, as the FAPI 2.0 Security Profile §5.4.1 allows; each key has
one algorithm, so nothing is verified by another than it was made for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from app.kernel.jwk import (
    ALGORITHMS,
    JoseInvalid,
    PublicKey,
    base64url_decode,
    public_key,
    signature_holds,
)

ES256 = "ES256"
PS256 = "PS256"
CLIENT_ALGORITHMS = (*ALGORITHMS, ES256, PS256)
MAX_KEYS = 10
RSA_BITS = range(2048, 4097)

_KID = re.compile(r"[\x21-\x7e]{1,128}")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_COORDINATE_BYTES = 32

AnyKey = PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class ClientKey:
    """A public key of a client's, and what it calls it."""

    kid: str | None
    key: AnyKey

    @property
    def algorithms(self) -> Sequence[str]:
        """The names of the one algorithm that the key is for."""
        if isinstance(self.key, PublicKey):
            return ALGORITHMS
        return (ES256,) if isinstance(self.key, ec.EllipticCurvePublicKey) else (PS256,)

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` is by this key and by its own algorithm."""
        if algorithm not in self.algorithms:
            return False
        if isinstance(self.key, PublicKey):
            return signature_holds(self.key, message, signature)
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                _verify_es256(self.key, message, signature)
            else:
                pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
                self.key.verify(signature, message, pss, hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def read_key_set(document: Mapping[str, Any]) -> Sequence[ClientKey]:
    """The keys of a client's JWK set; `JoseInvalid`, which says why, unless all of them are good.

    One key may go without `kid`; of several, each has its own.
    """
    keys = document.get("keys")
    if set(document) != {"keys"} or not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise JoseInvalid(f"a key set has the member 'keys' with 1 to {MAX_KEYS} keys")
    found = [read_key(jwk) for jwk in keys]
    names = [key.kid for key in found]
    if len(found) > 1 and (None in names or len(set(names)) != len(names)):
        raise JoseInvalid("of several keys each needs a 'kid' of its own")
    return found


def read_key(jwk: object) -> ClientKey:
    """The public key of one JWK; `JoseInvalid`, which says why, for any other."""
    if not isinstance(jwk, dict):
        raise JoseInvalid("a key is a JSON object")
    if _PRIVATE & set(jwk):
        raise JoseInvalid("this is a private or shared key: send the public half only")
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and _KID.fullmatch(kid)):
        raise JoseInvalid("'kid' is up to 128 visible characters")
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise JoseInvalid("the key is not for verifying signatures")
    key = ClientKey(kid, _key_of(jwk))
    if jwk.get("alg", key.algorithms[0]) not in key.algorithms:
        raise JoseInvalid(f"such a key is for {' or '.join(key.algorithms)}")
    return key


def _key_of(jwk: dict[str, Any]) -> AnyKey:
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if kty == "OKP":
        return public_key({"kty": kty, "crv": crv, "x": jwk.get("x")})
    try:
        if kty == "EC" and crv == "P-256":
            x, y = (_number(jwk.get(name), _COORDINATE_BYTES) for name in ("x", "y"))
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        if kty == "RSA":
            key = rsa.RSAPublicNumbers(_number(jwk.get("e")), _number(jwk.get("n"))).public_key()
            if key.key_size in RSA_BITS:
                return key
            raise JoseInvalid("an RSA key has 2048 to 4096 bits")
    except ValueError as error:
        raise JoseInvalid(f"the key does not hold: {error}") from error
    raise JoseInvalid("keys are Ed25519 (OKP), P-256 (EC) or RSA")


def _number(encoded: object, size: int | None = None) -> int:
    data = base64url_decode(encoded)
    if not data or len(data) > RSA_BITS.stop // 8 or (size is not None and len(data) != size):
        raise JoseInvalid("a number of the key has another length")
    return int.from_bytes(data, "big")


def _verify_es256(key: ec.EllipticCurvePublicKey, message: bytes, signature: bytes) -> None:
    """RFC 7518 §3.4: r and s side by side, 32 bytes each."""
    if len(signature) != 2 * _COORDINATE_BYTES:
        raise InvalidSignature
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
