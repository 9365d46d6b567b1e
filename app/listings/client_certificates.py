"""Client certificates: whether one and its private key can open a TLS connection."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

RSA_MIN_BITS = 2048
CHAIN_MAX = 10


class CertificateUnfit(ValueError):
    """A certificate or key that no server would take; the text says why, without the key."""


def check_certificate(certificate: str, key: str, at: datetime) -> None:
    """Raise `CertificateUnfit` unless `key` (PEM, without a password) is the first certificate's
    (PEM, its chain after it) and that one is valid at `at`.
    """
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        raise CertificateUnfit("The certificate is not PEM.") from None
    if len(chain) > CHAIN_MAX:
        raise CertificateUnfit(f"A chain is at most {CHAIN_MAX} certificates.")
    if _private_key(key).public_key() != chain[0].public_key():
        raise CertificateUnfit("The key is not the first certificate's.")
    if not chain[0].not_valid_before_utc <= at < chain[0].not_valid_after_utc:
        raise CertificateUnfit("The certificate is not valid now.")


def _private_key(text: str) -> PrivateKeyTypes:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    # A key under a password is a TypeError of `cryptography`.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateUnfit("The secret is a private key in PEM, without a password.") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_MIN_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise CertificateUnfit(f"The key is RSA of {RSA_MIN_BITS} bits or more, or elliptic-curve.")
