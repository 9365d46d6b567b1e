"""Breaking: every way in which a body, a query or a path can be wrong, made from a good one."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
DEPTH = 10_000
OVERSIZE_BYTES = 11_000_000
WRONG_TYPES = (
    "",
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=gbk",
)
BROKEN_IDS = (
    "%00",
    "x%00y",
    "..%2F..%2Fme",
    "%2e%2e%2f",
    "a%2Fb",
    "%5C..%5C",
    "x" * 2000,
    "%FF",
    "%ED%A0%80",
    "a%0D%0AX-Injected:%201",
    "%E2%80%AE",
    "'%20OR%20'1'='1",
    "*",
    "ctr_" + "z" * 26,
)
"""As they stand in the URL."""


@dataclass(frozen=True)
class Broken:
    """A body that must be refused with one of `statuses`."""

    what: str
    content: bytes
    statuses: frozenset[int] = frozenset({400})
    content_type: str = JSON

    @property
    def headers(self) -> Mapping[str, str]:
        """How it is announced."""
        return {"Content-Type": self.content_type}


def broken_bodies(example: Mapping[str, Any], *, optional: bool) -> Iterator[Broken]:
    """Everything that is wrong with a body whose good form is `example`.

    Where the body is `optional`, nothing at all and null are not wrong.
    """
    yield from _not_json(optional)
    good = json.dumps(example).encode()
    yield Broken("byte order mark", b"\xef\xbb\xbf" + good)
    yield Broken("two documents", good + good)
    yield Broken("unknown member", _with(example, "zz_unknown", 1))
    yield Broken("deep unknown member", b'{"zz": ' + b"[" * DEPTH + b"]" * DEPTH + b"}")
    yield Broken("too large", b'{"zz": "' + b"x" * OVERSIZE_BYTES + b'"}', frozenset({413}))
    for content_type in WRONG_TYPES:
        yield Broken(f"sent as {content_type!r}", good, frozenset({415}), content_type)
    for name, value in example.items():
        yield from _broken_members(example, name, value)


def _not_json(optional: bool) -> Iterator[Broken]:
    if not optional:
        yield Broken("empty", b"")
        yield Broken("null", b"null")
    for content in (b"{", b"[]", b'"text"', b"5", b"true", b"{'a': 1}", b'{"a": 1,}', b"\xff\xfe"):
        yield Broken(repr(content), content)
    yield Broken("deep array", b"[" * DEPTH)
    yield Broken("deep object", b'{"a":' * DEPTH)


def _broken_members(example: Mapping[str, Any], name: str, value: Any) -> Iterator[Broken]:
    good = json.dumps(example)[1:-1].encode()
    member = json.dumps({name: value})[1:-1].encode()
    yield Broken(f"{name} stands twice", b"{" + good + b", " + member + b"}")
    for literal in (b"NaN", b"Infinity", b"1e400", b"1" * 400, b'"\xff"', b'"\\ud800"'):
        yield Broken(f"{name} is {literal[:10]!r}", _with_literal(example, name, literal))
    for character in ("\0", "\u202e", "\ud800"):
        changed = _spoiled(value, character)
        if changed != value:
            yield Broken(f"{character!r} in {name}", _with(example, name, changed))
    for wrong in (5, True, "5", [5], {"zz": 5}):
        if not isinstance(wrong, type(value)):
            # What is well-formed but not of this kind may be a rule's to refuse.
            yield Broken(f"{name} is {wrong!r}", _with(example, name, wrong), frozenset({400, 422}))


def _with(example: Mapping[str, Any], name: str, value: Any) -> bytes:
    return json.dumps({**example, name: value}).encode()


def _with_literal(example: Mapping[str, Any], name: str, literal: bytes) -> bytes:
    mark = "literal-to-be"
    return _with(example, name, mark).replace(f'"{mark}"'.encode(), literal)


def _spoiled(value: Any, character: str) -> Any:
    """`value` with `character` in the first text that is found in it."""
    changed = copy.deepcopy(value)
    if isinstance(changed, str):
        return changed + character
    if not isinstance(changed, dict | list):
        return changed
    for place in list(changed) if isinstance(changed, dict) else range(len(changed)):
        spoiled = _spoiled(changed[place], character)
        if spoiled != changed[place]:
            changed[place] = spoiled
            break
    return changed


def broken_values(schema: Mapping[str, Any], name: str) -> Iterator[str]:
    """Values, as they stand in the URL, that a query parameter of this schema must refuse."""
    yield from ("%00", "a%00b", "%E2%80%AE")
    kinds = list(_alternatives(schema))
    if any("integer" in kind.get("type", ()) for kind in kinds):
        yield from ("x", "1.5", "0x10", "1" * 400, "9" * 30, "-" + "9" * 30)
    elif any("enum" in kind or kind.get("format") == "date" for kind in kinds):
        yield from ("zz", "2026-13-01", "5")
    if name == "limit":
        yield from ("0", "-1", "201")
    if name == "cursor":
        yield from ("!!!", "a", "%2B%2B", "x" * 5001)
        yield from map(_hidden, ("\0", "a\0", "\x1b", "[" * 5000 + "\n"))


def _hidden(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for name in ("oneOf", "anyOf", "allOf"):
        for kind in schema.get(name, ()):
            yield from _alternatives(kind)
