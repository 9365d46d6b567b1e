"""Signed notes and checkpoints: C2SP signed-note and tlog-checkpoint, with Ed25519. Pure.

A note is text that ends in a newline, a blank line, and signature lines
`— <name> <base64(key id ‖ signature)>`. A verifier key is
`<name>+<hex key id>+<base64(0x01 ‖ key)>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
KEY_ID_BYTES = 4
DASH = "\u2014"
MAX_NOTE_CHARS = 1_000_000

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteInvalid(ValueError):
    """A note, checkpoint or verifier key that does not hold; the text says why."""


@dataclass(frozen=True)
class VerifierKey:
    """Who signs: a name and an Ed25519 public key."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)."""
        data = self.name.encode() + b"\n" + bytes([ED25519]) + self.public
        return hashlib.sha256(data).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True)
class TreeHead:
    """What a checkpoint says: the log's origin, how many leaves, and their root."""

    origin: str
    size: int
    root: bytes


def verifier_key_of(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    """The verifier key that belongs to a private one; refuses a name that notes cannot carry."""
    if not _NAME.fullmatch(name):
        raise NoteInvalid("a key's name has no spaces and no plus sign")
    return VerifierKey(name, private.public_key().public_bytes_raw())


def parse_verifier_key(text: str) -> VerifierKey:
    """The key written as `name+id+key`; refuses one whose id is not its own."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise NoteInvalid("a verifier key is name+id+key")
    raw = _base64(parts[2])
    if len(raw) != 33 or raw[0] != ED25519:
        raise NoteInvalid("only Ed25519 verifier keys are taken")
    key = VerifierKey(parts[0], raw[1:])
    if key.key_id.hex() != parts[1]:
        raise NoteInvalid("the verifier key's id does not belong to it")
    return key


def signed_note(text: str, signer: VerifierKey, private: Ed25519PrivateKey) -> str:
    """`text` (which ends in a newline) as a note signed by one key."""
    if not text.endswith("\n"):
        raise NoteInvalid("a note's text ends in a newline")
    signature = base64.b64encode(signer.key_id + private.sign(text.encode())).decode()
    return f"{text}\n{DASH} {signer.name} {signature}\n"


def opened_note(note: str, key: VerifierKey) -> str:
    """The text of a note that `key` has signed; lines of other keys are passed over."""
    text, signatures = _parted(note)
    for name, raw in signatures:
        if name == key.name and raw[:KEY_ID_BYTES] == key.key_id:
            try:
                public = Ed25519PublicKey.from_public_bytes(key.public)
                public.verify(raw[KEY_ID_BYTES:], text.encode())
            except (InvalidSignature, ValueError) as error:
                raise NoteInvalid("the signature does not hold") from error
            return text
    raise NoteInvalid(f"no signature by {key.name}")


def checkpoint_text(head: TreeHead) -> str:
    """A tree head as the three lines of a checkpoint."""
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def parse_checkpoint(text: str) -> TreeHead:
    """The tree head in a checkpoint's text; extension lines are passed over."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):
        raise NoteInvalid("a checkpoint is origin, size and root, a line each")
    root = _base64(lines[2])
    if len(root) != 32:
        raise NoteInvalid("a root has 32 bytes")
    return TreeHead(lines[0], int(lines[1]), root)


def opened_checkpoint(note: str, key: VerifierKey) -> TreeHead:
    """The tree head that the log itself, whose key this is, has signed."""
    head = parse_checkpoint(opened_note(note, key))
    if head.origin != key.name:
        raise NoteInvalid("the checkpoint is of another log than the key")
    return head


def _parted(note: str) -> tuple[str, Sequence[tuple[str, bytes]]]:
    if len(note) > MAX_NOTE_CHARS or any(c < " " and c != "\n" for c in note):
        raise NoteInvalid("a note is text of bounded size without control characters")
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteInvalid("a note is text, a blank line, and signatures")
    return text + "\n", [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH or not _NAME.fullmatch(parts[1]):
        raise NoteInvalid("a signature line is: dash, name, signature")
    raw = _base64(parts[2])
    if len(raw) <= KEY_ID_BYTES:
        raise NoteInvalid("a signature is too short")
    return parts[1], raw


def _base64(text: str) -> bytes:
    """Bytes in base64's one canonical spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid("this is not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise NoteInvalid("base64 has stray bits at its end")
    return raw
