"""Ids: a kind's prefix and a UUIDv7 in Crockford base 32, one text form everywhere.

The same text stands in the URL, the row, the log line, the signed terms and the audit leaf: nothing
converts it, and it sorts by the time it was made (RFC 9562 §5.7).
"""

from __future__ import annotations

import os
import re
import struct
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
        "seat",
        "cht",
        "dlg",
        "idp",
        "lst",
        "ver",
        "pln",
        "fil",
        "app",
        "neg",
        "ctr",
        "sig",
        "grt",
        "ugr",
        "evt",
        "inv",
        "lin",
        "crn",
        "pay",
        "pyo",
        "trf",
        "leaf",
        "ntc",
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


class _Source:
    """Unix milliseconds (as ten digits), a 12-bit counter and 62 bits of chance.

    Time and counter never repeat within a process, chance not even between those that it forks.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin as in a new process."""
        self._lock = threading.Lock()
        self._ms = 0
        self._ms_text = ""
        self._count = 0
        self._chances: list[int] = []

    def next(self) -> tuple[str, int, int]:
        """The next three; runs ahead of the clock rather than repeat itself."""
        # Naming, not timekeeping: an id only has to be new and roughly ordered.
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            if now_ms <= self._ms and self._count < 0xFFF:
                self._count += 1
            else:
                self._ms, self._count = max(now_ms, self._ms + 1), 0
                self._ms_text = _base32(self._ms, 10)
            if not self._chances:
                # Many at once: asking lets go of the GIL, which may be long in coming back.
                self._chances = list(_CHANCES.unpack(os.urandom(_CHANCES.size)))
            return self._ms_text, self._count, self._chances.pop() >> 2


_CHANCES = struct.Struct("256Q")
_source = _Source()
os.register_at_fork(after_in_child=_source.restart)


def new_id(prefix: str) -> str:
    """A fresh id such as `ctr_01k…`; within a process each sorts after the one before."""
    if prefix not in PREFIXES:
        raise ValueError(f"{prefix!r} is not a kind of id")
    ms_text, count, chance = _source.next()
    # RFC 9562 §5.7: 48 bits of time, 4 of version, 12 of counter, 2 of variant, 62 of chance.
    head, tail = 7 << 36 | count << 24 | 0b10 << 22 | chance >> 40, chance & 0xFF_FFFF_FFFF
    return f"{prefix}_{ms_text}{_digits(head)}{_digits(tail)}"


def kind_of(text: str) -> str | None:
    """The prefix of a well-formed id, or None when `text` is not one."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match and match[1] in PREFIXES else None


def made_at_ms(text: str) -> int | None:
    """When a well-formed id was made, in milliseconds since 1970; None when `text` is not one."""
    if kind_of(text) is None:
        return None
    digits = text.rpartition("_")[2][:10]
    return sum(ALPHABET.index(one) << 5 * place for place, one in enumerate(reversed(digits)))


def _base32(number: int, digits: int) -> str:
    return "".join([ALPHABET[(number >> 5 * place) & 31] for place in reversed(range(digits))])


def _digits(word: int) -> str:
    """The eight digits of a 40-bit word, two at a time: one id is made for every metered call."""
    return (
        f"{_PAIRS[word >> 30]}{_PAIRS[word >> 20 & 1023]}"
        f"{_PAIRS[word >> 10 & 1023]}{_PAIRS[word & 1023]}"
    )


_PAIRS = [_base32(number, 2) for number in range(1024)]
