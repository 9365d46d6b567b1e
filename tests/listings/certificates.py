"""Certificates and keys that tests make for themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

AT = datetime(2026, 11, 2, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def client_certificate(at: datetime) -> tuple[str, str]:
    """A certificate of its own making that is valid a year around `at`, and its key, in PEM.

    It stands for 127.0.0.1, so that a server can show it too.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "zhigu")])
    place = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(at - YEAR)
        .not_valid_after(at + YEAR)
        .add_extension(place, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode(), pem_of(key)


def pem_of(key: PrivateKeyTypes, password: bytes | None = None) -> str:
    """The private key in PEM, under a password if one is given."""
    lock: KeySerializationEncryption = (
        NoEncryption() if password is None else BestAvailableEncryption(password)
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()
