"""Cursors: the place of a page's last row in the order of its query.

A cursor carries the row's own sort keys, all of them columns that its holder may read, so it needs
no signature: an altered one only asks for another place among the same rows.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec

from app.listings.conditions.errors import QueryRefused

CURSOR_MAX_LENGTH = 4_000
ROW_MAX = 2**62


@dataclass(frozen=True, slots=True)
class Place:
    """Behind the row numbered `row`, whose sort keys are `keys`.

    Keys are text as DuckDB writes it, None for a missing value.
    """

    row: int
    keys: tuple[str | None, ...] = ()


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    fingerprint: str
    row: int
    keys: list[str | None]


def write_cursor(place: Place, fingerprint: str) -> str:
    """The cursor for `place` in the query with this fingerprint.

    Refuses with `QueryRefused` when the sort keys are too long to stand in a URL.
    """
    content = _Content(fingerprint, place.row, list(place.keys))
    text = base64.urlsafe_b64encode(msgspec.json.encode(content)).rstrip(b"=").decode("ascii")
    if len(text) > CURSOR_MAX_LENGTH:
        raise QueryRefused("The values of these columns are too long to page by.", "order")
    return text


def read_cursor(text: str, fingerprint: str, keys: int) -> Place:
    """The place in `text`; raises `QueryRefused` when it is none, or another query's."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        content = msgspec.json.decode(raw, type=_Content, strict=True)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise QueryRefused("This is not a cursor.", "cursor") from None
    if content.fingerprint != fingerprint or len(content.keys) != keys:
        raise QueryRefused("The cursor belongs to another where or order.", "cursor")
    if not 0 <= content.row <= ROW_MAX:
        raise QueryRefused("This is not a cursor.", "cursor")
    return Place(content.row, tuple(content.keys))
