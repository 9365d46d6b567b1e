"""Commitments: what the log keeps of a leaf. Pure, and light enough for a verifier's computer."""

from __future__ import annotations

import hashlib

SALT_BYTES = 32


def commitment_of(salt: bytes, body: bytes) -> bytes:
    """What the log commits to: SHA-256(salt ‖ canonical body), 32 bytes."""
    return hashlib.sha256(salt + body).digest()
