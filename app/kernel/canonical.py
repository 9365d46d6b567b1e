"""Canonical JSON (RFC 8785) and its hash: the bytes that are signed and proven.

Narrower than the RFC on purpose, so that no two readers can disagree: integers below 2^53, no
floats, text in NFC without lone surrogates, and names that are text.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping

import rfc8785

MAX_INTEGER = 2**53 - 1

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


class NotCanonical(ValueError):
    """A value that has no one canonical form; `path` says where it stands."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or '/'}: {reason}")
        self.path = path
        self.reason = reason


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of `value`; raises `NotCanonical` for what has none."""
    if _is_plain(value):
        return _encode_plain(value).encode("ascii")
    _check(value, "")
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # _check has just narrowed it


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def _is_plain(value: object) -> bool:
    """Whether the standard library's encoder, which is faster, writes the same bytes: all of it
    is JSON in ASCII, where order by code point is order by UTF-16.
    """
    if type(value) is str:
        return value.isascii()
    if type(value) is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if type(value) is dict:
        return all(
            type(name) is str and name.isascii() and _is_plain(member)
            for name, member in value.items()
        )
    if type(value) is list:
        return all(map(_is_plain, value))
    return value is None or type(value) is bool


_encode_plain = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode


def _check(value: object, path: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise NotCanonical(path, "an integer must be below 2^53; write it as text")
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if not isinstance(name, str):
                raise NotCanonical(path, "a member's name must be text")
            _check_text(name, path)
            _check(member, f"{path}/{name}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{path}/{index}")
    else:
        raise NotCanonical(path, f"{type(value).__name__} has no canonical form")


def _check_text(text: str, path: str) -> None:
    if not unicodedata.is_normalized("NFC", text):
        raise NotCanonical(path, "text must be in Unicode normal form C")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise NotCanonical(path, "text must not hold a lone surrogate")
