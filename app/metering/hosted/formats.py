"""Formats: rows as JSON or CSV bytes, and which format a caller accepts.

JSON: an integer is a number with all its digits, a decimal is text (a reader's double would lose
digits), a date or time is ISO 8601 text, NaN and the infinities are null.
CSV (RFC 4180): a missing value is an empty cell, an empty text is `""`. Text that a spreadsheet
would take for a formula gets an apostrophe in front; numbers stay numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

import msgspec

from app.listings.conditions.columns import NUMERIC, Column, Kind
from app.metering.hosted.errors import NotAcceptable

Row = Sequence[Any]


class Format(Enum):
    """An offered format: its media type and file suffix, the default first."""

    JSON = ("application/json", "json")
    CSV = ("text/csv", "csv")
    PARQUET = ("application/vnd.apache.parquet", "parquet")

    def __init__(self, media_type: str, suffix: str) -> None:
        self.media_type = media_type
        self.suffix = suffix
        self.content_type = (
            f"{media_type}; charset=utf-8; header=present" if suffix == "csv" else media_type
        ).encode("ascii")


def choose_format(accept: bytes, offers: Sequence[Format] = tuple(Format)) -> Format:
    """The one of `offers` that an Accept header (RFC 9110 §12.5.1) likes best; the first without.

    Raises `NotAcceptable` when it allows none.
    """
    ranges = [_media_range(part) for part in accept.decode("latin-1").lower().split(",")]
    wanted = {name: quality for name, quality in ranges if name}
    if not wanted:
        return offers[0]
    best = max(offers, key=lambda offered: _quality(offered, wanted))
    if _quality(best, wanted) <= 0:
        names = ", ".join(offered.media_type for offered in offers)
        raise NotAcceptable(f"Rows are offered as {names}.")
    return best


def json_rows(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """`rows` as JSON objects joined by commas, without the brackets around them."""
    names = [column.name for column in columns]
    nested = [at for at, column in enumerate(columns) if column.kind is Kind.NESTED]
    if nested:
        rows = [_with_raw_json(row, nested) for row in rows]
    return _ENCODER.encode([dict(zip(names, row, strict=False)) for row in rows])[1:-1]


def json_page(items: Sequence[bytes], next_cursor: str | None) -> bytes:
    """The whole JSON answer from pieces made by `json_rows`."""
    body = b",".join(piece for piece in items if piece)
    return b'{"items":[' + body + b'],"next_cursor":' + _ENCODER.encode(next_cursor) + b"}"


def csv_header(columns: Sequence[Column]) -> bytes:
    """The line of column names."""
    return _line(_text_cell(column.name) for column in columns)


def csv_rows(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """`rows` as lines of CSV."""
    cells = [_cell_writer(column) for column in columns]
    return b"".join(
        _line(cell(value) for cell, value in zip(cells, row, strict=False)) for row in rows
    )


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            return name, float(parameter[2:]) if _QUALITY.fullmatch(parameter[2:]) else 0.0
    return name, 1.0


def _quality(offered: Format, wanted: dict[str, float]) -> float:
    """How much a format is liked: the most specific range that covers it counts."""
    family = offered.media_type.partition("/")[0]
    for name in (offered.media_type, f"{family}/*", "*/*"):
        if name in wanted:
            return wanted[name]
    return 0.0


def _with_raw_json(row: Row, nested: Sequence[int]) -> list[Any]:
    copy = list(row)
    for at in nested:
        if copy[at] is not None:
            copy[at] = msgspec.Raw(copy[at].encode())
    return copy


def _cell_writer(column: Column) -> Callable[[Any], str]:
    if column.kind is Kind.FLOAT:
        return _float_cell
    if column.kind in NUMERIC:
        return lambda value: "" if value is None else str(value)
    if column.kind is Kind.BOOLEAN:
        return lambda value: "" if value is None else str(value).lower()
    return _text_cell


def _float_cell(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(value)


def _text_cell(value: str | None) -> str:
    if value is None:
        return ""
    if value[:1] in _FORMULA_STARTS and not _NUMBER.fullmatch(value):
        value = "'" + value
    if not value or _TO_QUOTE.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


def _line(cells: Iterable[str]) -> bytes:
    return (",".join(cells) + "\r\n").encode()


_ENCODER = msgspec.json.Encoder()
_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?")
# With the full-width forms that spreadsheets normalise before they read a cell.
_FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_TO_QUOTE = re.compile(r'[",\r\n]|^\s|\s$')
