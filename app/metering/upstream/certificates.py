"""Certificates: TLS with a client certificate, whose key is never on disk in the clear."""

from __future__ import annotations

import os
import ssl
import tempfile

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


def client_context(certificate: str, key: str) -> ssl.SSLContext:
    """TLS that verifies the server and shows `certificate` (PEM, its chain after it) with `key`.

    Blocks for milliseconds: not for the event loop. Raises `ValueError` for what does not fit.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL reads a certificate from a file only: it gets one that a password of now locks.
    password = os.urandom(32).hex().encode()
    locked = load_pem_private_key(key.encode(), password=None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )
    with tempfile.NamedTemporaryFile(prefix="zhigu-") as file:
        file.write(locked + certificate.encode())
        file.flush()
        try:
            context.load_cert_chain(file.name, password=password)
        except ssl.SSLError as error:
            raise ValueError("the certificate and its key do not fit") from error
    return context
