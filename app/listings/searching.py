"""Searching: the public catalogue by words and filters, page by page."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.http.decoding import clean_text
from app.http.paging import MAX_LIMIT, decode_cursor, encode_cursor
from app.kernel.clock import from_rfc3339, rfc3339
from app.kernel.ids import kind_of
from app.kernel.money import EXACT
from app.kernel.refusals import Malformed
from app.listings.codes import OpenType, Scene
from app.listings.models import CatalogueEntry, CatalogueScene

WORDS_MAX = 10


class Sort(StrEnum):
    """The order of a list: newest first, by title, or cheapest first."""

    NEWEST = "newest"
    TITLE = "title"
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for. A price is compared in `currency` only, with the headline price."""

    words: str = ""
    scene: Scene | None = None
    sector: str | None = None
    region: str | None = None
    provider_id: str | None = None
    open_type: OpenType | None = None
    price_max: Decimal | None = None
    currency: str = "CNY"
    sort: Sort = Sort.NEWEST


def search_key(text: str) -> str:
    """`text` as it is compared: compatibility forms, width and case do not matter."""
    return unicodedata.normalize("NFKC", text).casefold()


def search_catalogue(
    session: Session, search: Search, *, limit: int, cursor: str | None
) -> tuple[Sequence[CatalogueEntry], str | None]:
    """The entries that match, in order, and the cursor of the next page."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Malformed(f"limit is between 1 and {MAX_LIMIT}.")
    statement = _filtered(select(CatalogueEntry), search)
    key, descending = _ORDERS[search.sort]
    if cursor is not None:
        value, listing_id = _read_cursor(cursor, search.sort)
        place = sa.tuple_(key, col(CatalogueEntry.listing_id))
        after = sa.tuple_(sa.literal(value, key.type), sa.literal(listing_id))
        statement = statement.where(place < after if descending else place > after)
    order = [key, col(CatalogueEntry.listing_id)]
    statement = statement.order_by(*(part.desc() if descending else part for part in order))
    rows = session.exec(statement.limit(limit + 1)).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return shown, _write_cursor(shown[-1], search.sort) if more else None


def _filtered(
    statement: SelectOfScalar[CatalogueEntry], search: Search
) -> SelectOfScalar[CatalogueEntry]:
    words = search_key(search.words).split()
    if len(words) > WORDS_MAX:
        raise Malformed(f"Search for {WORDS_MAX} words at most.")
    for word in words:
        statement = statement.where(col(CatalogueEntry.search_text).contains(word, autoescape=True))
    if search.scene is not None:
        found = select(CatalogueScene.listing_id).where(CatalogueScene.scene == search.scene)
        statement = statement.where(col(CatalogueEntry.listing_id).in_(found))
    if search.sector is not None:
        sector = col(CatalogueEntry.sector_code)
        statement = statement.where(sector.startswith(search.sector, autoescape=True))
    if search.region is not None:
        region = col(CatalogueEntry.region_code)
        statement = statement.where(region.startswith(search.region, autoescape=True))
    if search.provider_id is not None:
        statement = statement.where(CatalogueEntry.provider_id == search.provider_id)
    if search.open_type is not None:
        statement = statement.where(CatalogueEntry.open_type == search.open_type)
    return _priced(statement, search)


def _priced(
    statement: SelectOfScalar[CatalogueEntry], search: Search
) -> SelectOfScalar[CatalogueEntry]:
    """By price only what has one in the currency can be compared or ordered."""
    if search.price_max is None and search.sort is not Sort.PRICE:
        return statement
    statement = statement.where(CatalogueEntry.currency == search.currency)
    if search.price_max is None:
        return statement
    ceiling = search.price_max.scaleb(6, EXACT).to_integral_value(ROUND_FLOOR)
    bounded = int(min(ceiling, Decimal(2**63 - 1)))
    return statement.where(col(CatalogueEntry.headline_micro) <= bounded)


_ORDERS: dict[Sort, tuple[Any, bool]] = {
    Sort.NEWEST: (col(CatalogueEntry.listed_at), True),
    Sort.TITLE: (col(CatalogueEntry.title), False),
    Sort.PRICE: (col(CatalogueEntry.headline_micro), False),
}


def _write_cursor(entry: CatalogueEntry, sort: Sort) -> str:
    values = {
        Sort.NEWEST: rfc3339(entry.listed_at),
        Sort.TITLE: entry.title,
        Sort.PRICE: entry.headline_micro,
    }
    return encode_cursor(json.dumps([sort.value, values[sort], entry.listing_id]))


def _read_cursor(cursor: str, sort: Sort) -> tuple[str | int | datetime, str]:
    """The place where the page before ended; only in the order in which it was given out."""
    try:
        kind, value, listing_id = json.loads(decode_cursor(cursor))
        if kind != sort.value or kind_of(listing_id) != "lst":
            raise ValueError("another order")
        if sort is Sort.NEWEST:
            return from_rfc3339(value), listing_id
        if sort is Sort.TITLE and isinstance(value, str):
            return clean_text(value), listing_id
        if sort is Sort.PRICE and type(value) is int and abs(value) < 2**63:
            return value, listing_id
        raise ValueError("another kind of value")
    except (ValueError, TypeError, RecursionError) as error:
        raise Malformed("This cursor was not given out here.") from error
