"""A query of hosted rows: `select`, `where`, `order`, `limit` and `cursor` of the URL.

    select  columns to answer, comma-separated; all that the contract grants when left out
    where   a condition (see `expressions`)
    order   columns to sort by, comma-separated, `-` in front for descending; missing values come
            last either way; rows that are equal, and all rows without an order, keep the file's
    limit   1 to 1,000 rows, 100 when left out
    cursor  `next_cursor` of the page before, with the same where and order

A column whose name holds a comma, a quote or a leading minus is written in double quotes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from app.listings.conditions.columns import ORDERED, Column
from app.listings.conditions.errors import QueryRefused
from app.listings.conditions.expressions import Expression, parse_expression
from app.metering.hosted.cursors import Place, read_cursor

QUERY_MAX_BYTES = 8_000
LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
ORDER_MAX = 8
PARAMETERS = ("select", "where", "order", "limit", "cursor")


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A column to sort by."""

    column: Column
    descending: bool = False


@dataclass(frozen=True, slots=True)
class HostedQuery:
    """A query that can be run as it is: every column is granted, every value fits.

    `raw` is what it was read from, for links; it takes no part in equality, nor in the name that a
    page is kept under.
    """

    select: tuple[Column, ...]
    where: Expression | None = None
    order: tuple[OrderKey, ...] = ()
    limit: int = LIMIT_DEFAULT
    after: Place | None = None
    raw: bytes = field(default=b"", compare=False, repr=False)

    def fingerprint(self) -> str:
        """Short hash of what a cursor depends on."""
        return hashlib.sha256(repr((self.where, self.order)).encode()).hexdigest()[:16]


def parse_query(raw_query: bytes, columns: Sequence[Column]) -> HostedQuery:
    """The query in `raw_query` (as in the URL) over the granted `columns`.

    Raises `QueryRefused` naming the parameter and the character that is wrong. A column that is
    not granted and one that does not exist get the same answer.
    """
    given = _parameters(raw_query)
    select = _names(given["select"], columns, "select") if "select" in given else tuple(columns)
    where = parse_expression(given["where"], columns) if "where" in given else None
    order = _order(given["order"], columns) if "order" in given else ()
    limit = _limit(given["limit"]) if "limit" in given else LIMIT_DEFAULT
    query = HostedQuery(select, where, order, limit, raw=raw_query)
    if "cursor" not in given:
        return query
    after = read_cursor(given["cursor"], query.fingerprint(), len(order))
    return HostedQuery(select, where, order, limit, after, raw_query)


def link_to_next(raw_query: bytes, cursor: str) -> bytes:
    """A `Link` header's value (RFC 8288) for the page that `cursor` starts."""
    kept = [pair for pair in raw_query.split(b"&") if pair and _name_of(pair) != "cursor"]
    target = b"&".join([*kept, b"cursor=" + cursor.encode("ascii")])
    # The raw query came out of a request line; what could end the header's quoting is escaped.
    safe = target.replace(b">", b"%3E").replace(b"<", b"%3C").replace(b'"', b"%22")
    return b"<?" + safe + b'>; rel="next"'


def _parameters(raw_query: bytes) -> dict[str, str]:
    if len(raw_query) > QUERY_MAX_BYTES:
        raise QueryRefused("The query is too long.", "query")
    given: dict[str, str] = {}
    for pair in raw_query.split(b"&"):
        if not pair:
            continue
        name = _name_of(pair)
        if name not in PARAMETERS:
            raise QueryRefused(f"There is no parameter {name[:40]!r} here.", "query")
        if name in given:
            raise QueryRefused(f"The parameter {name} is given twice.", name)
        given[name] = _decoded(pair.partition(b"=")[2], name)
    return given


def _name_of(pair: bytes) -> str:
    return unquote_to_bytes(pair.partition(b"=")[0]).decode("utf-8", "replace")


def _decoded(value: bytes, name: str) -> str:
    try:
        text = unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise QueryRefused("The parameter is not UTF-8.", name, error.start) from None
    if match := _CONTROL.search(text):
        raise QueryRefused("The parameter holds a control character.", name, match.start())
    return text


def _names(text: str, columns: Sequence[Column], parameter: str) -> tuple[Column, ...]:
    found: dict[str, Column] = {}
    by_name = {column.name: column for column in columns}
    for match in _items(text, parameter):
        name = _unquoted(match)
        if name not in by_name:
            raise QueryRefused(f"There is no column {name!r}.", parameter, match.start())
        if name in found:
            raise QueryRefused(f"The column {name!r} stands twice.", parameter, match.start())
        found[name] = by_name[name]
    return tuple(found.values())


def _order(text: str, columns: Sequence[Column]) -> tuple[OrderKey, ...]:
    signs = [match["sign"] == "-" for match in _items(text, "order")]
    keys = tuple(map(OrderKey, _names(text, columns, "order"), signs))
    if len(keys) > ORDER_MAX:
        raise QueryRefused(f"At most {ORDER_MAX} columns can be sorted by.", "order")
    for key in keys:
        if key.column.kind not in ORDERED:
            raise QueryRefused(f"A {key.column.kind} column has no order.", "order")
    return keys


def _items(text: str, parameter: str) -> list[re.Match[str]]:
    """The comma-separated items of a list of names."""
    items: list[re.Match[str]] = []
    position = 0
    while match := _ITEM.match(text, position):
        if match["sign"] and parameter != "order":
            break
        items.append(match)
        position = match.end()
        if match["comma"] != ",":
            return items
    raise QueryRefused("Expected the name of a column.", parameter, position)


def _unquoted(match: re.Match[str]) -> str:
    quoted = match["quoted"]
    return match["bare"].strip() if quoted is None else quoted[1:-1].replace('""', '"')


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= LIMIT_MAX:
        raise QueryRefused(f"The limit is a number from 1 to {LIMIT_MAX}.", "limit")
    return int(text)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ITEM = re.compile(
    r"""\s* (?P<sign>-?)
    (?: (?P<quoted>"(?:[^"]|"")++") \s* | (?P<bare>[^",\s-][^",]*) )
    (?P<comma>,|$)""",
    re.VERBOSE,
)
