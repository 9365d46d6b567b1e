"""Verifying a receipt offline: our server is not asked, and no key inside the file is trusted.

A receipt is canonical JSON: a leaf with its salt and audit path, the checkpoint that covers it,
and, for a usage event, the event with its path to the segment root that the leaf tells. Its bytes
are its one spelling, so a single changed byte fails.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from app.audit.commitments import SALT_BYTES, commitment_of
from app.audit.merkle import inclusion_holds, leaf_hash
from app.audit.notes import NoteInvalid, opened_checkpoint, parse_verifier_key
from app.kernel.canonical import NotCanonical, canonical

FORMAT = "zhigu-receipt-v1"
MAX_BYTES = 1_000_000
SEALED = "usage:sealed"
"""The kind of leaf that tells of a segment: others may have facts that look like one."""


class ReceiptInvalid(ValueError):
    """The receipt does not hold; the text says why."""


class LeafPart(msgspec.Struct, forbid_unknown_fields=True):
    """The leaf as it was recorded, and where it stands."""

    body: dict[str, Any]
    salt: str
    number: int
    proof: list[str]


class SegmentPart(msgspec.Struct, forbid_unknown_fields=True):
    """A usage event, and its path to the root of its segment."""

    event: dict[str, Any]
    proof: list[str]


class Receipt(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: str
    leaf: LeafPart
    checkpoint: str
    segment: SegmentPart | None


class _SealedFacts(msgspec.Struct):
    """What the leaf of a segment tells, among other facts."""

    grant_id: str
    first_number: int
    last_number: int
    root: str


class _NumberedEvent(msgspec.Struct):
    """What places an event in its segment, among its other members."""

    grant_id: str
    number: int


@dataclass(frozen=True)
class Verified:
    """What a receipt that holds proves."""

    origin: str
    tree_size: int
    number: int
    leaf: Mapping[str, Any]
    event: Mapping[str, Any] | None


def verify_receipt(content: bytes, vkey: str) -> Verified:
    """What the receipt proves under the log key `vkey`; else `ReceiptInvalid`."""
    try:
        key = parse_verifier_key(vkey)
        receipt = _read(content)
        head = opened_checkpoint(receipt.checkpoint, key)
    except NoteInvalid as error:
        raise ReceiptInvalid(str(error)) from error
    # Signatures of others are not checked here, so they would be bytes that may be altered.
    if receipt.checkpoint.count("\n") != 5:
        raise ReceiptInvalid("the checkpoint has three lines and one signature")
    leaf, salt = receipt.leaf, _base64(receipt.leaf.salt)
    # Of one length: or the line between salt and body could be drawn elsewhere.
    if len(salt) != SALT_BYTES:
        raise ReceiptInvalid(f"a salt has {SALT_BYTES} bytes")
    entry = commitment_of(salt, canonical(leaf.body))
    proof = [_base64(node) for node in leaf.proof]
    if not inclusion_holds(leaf_hash(entry), leaf.number, head.size, proof, head.root):
        raise ReceiptInvalid("the leaf is not in the log under this checkpoint")
    if receipt.segment is not None:
        _check_segment(receipt.segment, leaf.body)
    event = receipt.segment.event if receipt.segment else None
    return Verified(head.origin, head.size, leaf.number, leaf.body, event)


def receipt_bytes(receipt: Receipt) -> bytes:
    """The one spelling of a receipt."""
    return canonical(msgspec.to_builtins(receipt))


def encoded(hashes: Sequence[bytes]) -> list[str]:
    """Hashes as base64."""
    return [base64.b64encode(value).decode() for value in hashes]


def _read(content: bytes) -> Receipt:
    if len(content) > MAX_BYTES:
        raise ReceiptInvalid("the file is too large for a receipt")
    try:
        value = json.loads(content)
        receipt = msgspec.convert(value, Receipt, strict=True)
        if canonical(value) != content:
            raise ReceiptInvalid("the file is not canonical JSON")
    except (ValueError, RecursionError, NotCanonical, msgspec.ValidationError) as error:
        raise ReceiptInvalid(f"the file is not a receipt: {error}") from error
    if receipt.format != FORMAT:
        raise ReceiptInvalid("the file is of another format")
    return receipt


def _check_segment(segment: SegmentPart, leaf: Mapping[str, Any]) -> None:
    """The event's path must lead to the root that the leaf tells, at the event's own number."""
    if leaf.get("kind") != SEALED:
        raise ReceiptInvalid("the leaf tells of no seal")
    try:
        sealed = msgspec.convert(leaf.get("facts"), _SealedFacts, strict=True)
        event = msgspec.convert(segment.event, _NumberedEvent, strict=True)
        root = bytes.fromhex(sealed.root)
    except (ValueError, msgspec.ValidationError) as error:
        raise ReceiptInvalid("the leaf tells of no segment that holds this event") from error
    proof = [_base64(node) for node in segment.proof]
    size = sealed.last_number - sealed.first_number + 1
    index = event.number - sealed.first_number
    hashed = leaf_hash(canonical(segment.event))
    holds = inclusion_holds(hashed, index, size, proof, root)
    if event.grant_id != sealed.grant_id or not holds:
        raise ReceiptInvalid("the event is not in the segment that the leaf tells of")


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ReceiptInvalid("this is not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise ReceiptInvalid("base64 has stray bits at its end")
    return raw
