"""Ranges: which part of a file a request asks for, if any (RFC 9110 §13 and §14).

Pure. A tag is strong: the SHA-256 of the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.kernel.refusals import Malformed
from app.metering.hosted.errors import FileChanged, RangeRefused

CONDITIONAL = (b"if-match", b"if-none-match", b"if-range", b"range")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` up to `end` (not included) of `size`; `is_range` answers with 206."""

    first: int
    end: int
    size: int
    is_range: bool = False

    @property
    def length(self) -> int:
        """How many bytes that is."""
        return self.end - self.first

    def content_range(self) -> bytes:
        """The value of Content-Range (RFC 9110 §14.4)."""
        return b"bytes %d-%d/%d" % (self.first, self.end - 1, self.size)

    def rows_of(self, rows: int) -> int:
        """How many of the file's `rows` this part touches, each as long as any other.

        A row that is cut counts in both parts: else who leaves out a byte of each pays for none.
        """
        if not self.size:
            return rows
        return -(-rows * self.end // self.size) - rows * self.first // self.size


def asked_part(headers: Mapping[bytes, bytes], tag: str, size: int) -> Part | None:
    """What a GET asks for, by its conditional headers; None: the caller has it already (304).

    Refuses with `FileChanged` or `RangeRefused`. Several ranges at once are answered whole, as is
    a unit that we do not know, and a range whose `If-Range` names other bytes.
    """
    if (wanted := headers.get(b"if-match")) is not None and not _names(wanted, tag, strong=True):
        raise FileChanged("The file is another one by now.", etag=tag)
    known = headers.get(b"if-none-match")
    if known is not None and _names(known, tag, strong=False):
        return None
    ranges = headers.get(b"range")
    condition = headers.get(b"if-range")
    if ranges is None or (condition is not None and condition.strip() != tag.encode("ascii")):
        return Part(0, size, size)
    return _part(ranges, size)


def conditional_headers(headers: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    """The headers that decide which part is asked for; lists of tags are joined.

    Refuses with `Malformed` where a second one would make the request mean two things.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in CONDITIONAL:
            continue
        if name in found and not name.endswith(b"-match"):
            raise Malformed(f"Send the header {name.decode().title()} once.")
        found[name] = found[name] + b", " + value if name in found else value
    return found


def _part(ranges: bytes, size: int) -> Part:
    unit, equals, spans = ranges.partition(b"=")
    if not equals or unit.strip().lower() != b"bytes" or b"," in spans:
        return Part(0, size, size)
    match = _SPAN.fullmatch(spans)
    if match is None:
        raise _refused(size)
    first_text, last_text = match[1], match[2]
    if first_text:
        first, end = int(first_text), min(int(last_text or size), size - 1) + 1
        backwards = bool(last_text) and int(last_text) < first
    elif last_text:
        first, end, backwards = max(size - int(last_text), 0), size, int(last_text) == 0
    else:
        raise _refused(size)
    if backwards or first >= size:
        raise _refused(size)
    return Part(first, end, size, is_range=True)


def _refused(size: int) -> RangeRefused:
    return RangeRefused(
        "The file has no such bytes.", headers={"Content-Range": f"bytes */{size}"}, size=size
    )


def _names(tags: bytes, tag: str, *, strong: bool) -> bool:
    """Whether a list of entity tags names ours; a weak one never does when it must be `strong`."""
    if tags.strip() == b"*":
        return True
    return any(
        match[2] == tag.encode("ascii") and not (strong and match[1])
        for match in _TAG.finditer(tags)
    )


_SPAN = re.compile(rb"[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")
_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
