"""Ids: a kind's prefix and a UUIDv7 in Crockford base 32, one text form everywhere.

The same text stands in the URL, the row, the log line, the signed terms and the audit leaf: nothing
converts it, and it sorts by the time it was made (RFC 9562 §5.7).
"""

from __future__ import annotations

import os
import re
import threading
import time
from typing import NewType

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIXES = frozenset(
    [
        "org",
        "usr",
        "cli",
        "key",
        "lst",
        "ver",
        "pln",
        "fil",
        "app",
        "neg",
        "ctr",
        "sig",
        "grt",
        "evt",
        "inv",
        "lin",
        "crn",
        "pay",
        "pyo",
        "trf",
        "leaf",
        "job",
    ]
)

OrganisationId = NewType("OrganisationId", str)
UserId = NewType("UserId", str)
ClientId = NewType("ClientId", str)
KeyId = NewType("KeyId", str)
ListingId = NewType("ListingId", str)
VersionId = NewType("VersionId", str)
PlanId = NewType("PlanId", str)
FileId = NewType("FileId", str)
NegotiationId = NewType("NegotiationId", str)
ContractId = NewType("ContractId", str)
SignatureId = NewType("SignatureId", str)
GrantId = NewType("GrantId", str)
EventId = NewType("EventId", str)
InvoiceId = NewType("InvoiceId", str)
LineId = NewType("LineId", str)
PaymentId = NewType("PaymentId", str)
PayoutId = NewType("PayoutId", str)
TransferId = NewType("TransferId", str)
LeafId = NewType("LeafId", str)

_SHAPE = re.compile(r"([a-z]{3,4})_([0-7][0-9a-hjkmnp-tv-z]{25})")


class _Sequence:
    """Unix milliseconds and a 12-bit counter that never repeat within a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = 0
        self._count = 0

    def next(self) -> tuple[int, int]:
        """The next pair; runs ahead of the clock rather than repeat itself."""
        # Naming, not timekeeping: an id only has to be new and roughly ordered.
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            if now_ms > self._ms:
                self._ms, self._count = now_ms, 0
            elif self._count < 0xFFF:
                self._count += 1
            else:
                self._ms, self._count = self._ms + 1, 0
            return self._ms, self._count


_sequence = _Sequence()


def new_id(prefix: str) -> str:
    """A fresh id such as `ctr_01k…`; within a process each sorts after the one before."""
    if prefix not in PREFIXES:
        raise ValueError(f"{prefix!r} is not a kind of id")
    return f"{prefix}_{_base32(_uuid7())}"


def kind_of(text: str) -> str | None:
    """The prefix of a well-formed id, or None when `text` is not one."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match and match[1] in PREFIXES else None


def _uuid7() -> int:
    ms, count = _sequence.next()
    random_62 = int.from_bytes(os.urandom(8)) >> 2
    return (ms << 80) | (0x7 << 76) | (count << 64) | (0b10 << 62) | random_62


def _base32(number: int) -> str:
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
