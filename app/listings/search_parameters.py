"""Search parameters: the catalogue's query as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated

from litestar.params import FromQuery, QueryParameter

from app.kernel.refusals import Malformed
from app.listings.charges import CurrencyCode, PriceText, UnitPrice
from app.listings.codes import OpenType, Scene
from app.listings.errors import PlanRefused
from app.listings.searching import Search, Sort

WORDS_MAX_CHARS = 200
# SQLite fails on a LIKE of more than 50,000 bytes; no code of any listing is longer than this.
Code = Annotated[str | None, QueryParameter(max_length=10)]


@dataclass(frozen=True, slots=True)
class Pricing:
    """The part of a search that is about money and order."""

    price_max: Decimal | None
    currency: str
    sort: Sort

    def put_into(self, search: Search) -> Search:
        """The whole search."""
        return replace(search, price_max=self.price_max, currency=self.currency, sort=self.sort)


def searched(
    q: Annotated[str, QueryParameter(max_length=WORDS_MAX_CHARS)] = "",
    scene: FromQuery[Scene | None] = None,
    sector: Code = None,
    region: Code = None,
    provider: FromQuery[str | None] = None,
    open_type: FromQuery[OpenType | None] = None,
) -> Search:
    """What to look for: words, and codes that a listing's own begin with (`sector`, `region`)."""
    return Search(
        words=q,
        scene=scene,
        sector=sector,
        region=region,
        provider_id=provider,
        open_type=open_type,
    )


def priced(
    price_max: FromQuery[PriceText | None] = None,
    currency: FromQuery[CurrencyCode] = "CNY",
    sort: FromQuery[Sort] = Sort.NEWEST,
) -> Pricing:
    """The highest headline price in major units of `currency`, and the order."""
    try:
        ceiling = UnitPrice("0" if price_max is None else price_max, currency).major
    except PlanRefused as error:  # a rule of plans; here it is a parameter that means nothing
        raise Malformed(error.detail) from error
    return Pricing(None if price_max is None else ceiling, currency, sort)
