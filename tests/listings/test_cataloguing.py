"""A catalogue of many: found by words and filters in both languages, read page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from app.db.session import now
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.listings.cataloguing import show_in_catalogue
from app.listings.codes import Delivery
from app.listings.licences import licence_from_terms
from app.listings.models import Listing, ListingVersion, PlanRow
from app.listings.odrl import odrl_of
from app.listings.plans import plan_document, plan_from_document
from app.listings.pricing import headline_micro
from app.listings.states import ListingState
from tests.listings.examples import complete_metadata, licence_terms, per_unit_plan, price
from tests.listings.shop import API, Shop, good, refused


class Catalogue:
    """A shop whose listings are put on sale as rows: a hundred of them take no time."""

    def __init__(self, shop: Shop, clock: SetClock) -> None:
        self.shop = shop
        self._clock = clock
        self._count = 0

    def add(self, title: str, cost: str | None = "0.0125", **metadata: Any) -> str:
        """A listing on sale, a second after the one before; its title names it in these tests."""
        self._clock.advance(timedelta(seconds=1))
        self._count += 1
        stated = {"title": title, "title_en": f"E{self._count}", "keywords": ["词"], **metadata}
        with self.shop.installation.transaction(OPERATOR) as session:
            document = complete_metadata(**{"abstract": "摘要。", **stated})
            listing = _listed(session, self.shop.provider_id, f"goods-{self._count}", document)
            if cost is not None:
                _offered(session, listing.id, cost)
            show_in_catalogue(session, listing)
        return title

    def find(self, **query: Any) -> list[str]:
        """The titles that a search finds on its first page."""
        return [card["title"] for card in self.page(**query)["items"]]

    def page(self, **query: Any) -> Any:
        return good(self.shop.anonymous.get(API, params=query))

    def pages(self, **query: Any) -> list[list[str]]:
        """The titles of every page to the end."""
        found, cursor = [], None
        while True:
            page = self.page(**query, **({} if cursor is None else {"cursor": cursor}))
            found.append([card["title"] for card in page["items"]])
            cursor = page["next_cursor"]
            if cursor is None:
                return found


def _listed(session: Session, provider_id: str, slug: str, document: dict[str, Any]) -> Listing:
    listing_id, version_id, moment = new_id("lst"), new_id("ver"), now(session)
    policy = odrl_of(licence_from_terms(licence_terms()), listing_id, provider_id)
    listing = Listing(
        id=listing_id,
        slug=slug,
        product_id=listing_id[-20:],
        provider_id=provider_id,
        delivery=Delivery.HOSTED,
        state=ListingState.LISTED,
        version_id=version_id,
        stated=document,
        licence=policy,
        edit=1,
        created_at=moment,
        moved_at=moment,
    )
    session.add(listing)
    session.flush()
    version = ListingVersion(
        id=version_id,
        listing_id=listing_id,
        number=1,
        delivery=Delivery.HOSTED,
        document=document,
        licence=policy,
        content_hash="ab" * 32,
        submitted_at=moment,
        submitted_by="test",
        listed_at=moment,
    )
    session.add(version)
    session.flush()
    return listing


def _offered(session: Session, listing_id: str, cost: str) -> None:
    amount, _, currency = cost.partition(" ")
    unit_price = price(amount, currency or "CNY")
    charges = [{"model": "per_unit", "unit_price": unit_price}]
    plan = plan_from_document({"currency": currency or "CNY", **per_unit_plan(charges=charges)})
    row = PlanRow(
        id=new_id("pln"),
        listing_id=listing_id,
        name=plan.name,
        number=1,
        currency=plan.currency,
        document=plan_document(plan),
        headline_micro=headline_micro(plan),
        created_at=now(session),
    )
    session.add(row)
    session.flush()


@pytest.fixture
def catalogue(shop: Shop, clock: SetClock) -> Catalogue:
    return Catalogue(shop, clock)


def test_words_are_found_in_both_languages_whatever_their_case_or_width(
    catalogue: Catalogue,
) -> None:
    gdp = catalogue.add(
        "世界各国国内生产总值",
        title_en="Gross Domestic Product, all Countries",
        keywords=["GDP", "经济"],
        abstract="1960 年以来，按年。",
    )
    people = catalogue.add(
        "世界各国人口", title_en="Population", keywords=["人口"], abstract="Straße ﬁnal."
    )
    for words in ("生产总值", "gdp", "ＧＤＰ", "domestic PRODUCT", "product gross", "1960", "经济"):
        assert catalogue.find(q=words) == [gdp], words
    for words in ("人口", "POPULATION", "strasse", "FINAL"):
        assert catalogue.find(q=words) == [people], words
    for words in ("世界", "各国 世界", "智谷数据", "", "  "):
        assert catalogue.find(q=words) == [people, gdp], words


@pytest.mark.parametrize("words", ["天气", "gdp 天气", "人 口", "世界各国国内生产总值总"])
def test_what_nothing_matches_finds_an_empty_last_page(catalogue: Catalogue, words: str) -> None:
    catalogue.add("世界各国国内生产总值", keywords=["GDP"])
    assert catalogue.page(q=words) == {"items": [], "next_cursor": None}


def test_wildcards_and_quotes_are_only_characters(catalogue: Catalogue) -> None:
    odd = [
        catalogue.add(f"增长 {text} 指标")
        for text in ("50%", "a_b", "c\\d", "it's", 'say "yes"', "[x]", "e*f", "g?h")
    ]
    plain = [catalogue.add("增长 50 指标"), catalogue.add("增长 axb 指标")]
    for words, title in zip(
        ("50%", "a_b", "c\\d", "it's", '"yes"', "[x]", "e*f", "g?h"), odd, strict=True
    ):
        assert catalogue.find(q=words) == [title], words
    assert catalogue.find(q="%") == [odd[0]]
    assert catalogue.find(q="_") == [odd[1]]
    assert catalogue.find(q="\\") == [odd[2]]
    assert catalogue.find(q="axb") == [plain[1]]
    for words in ("%%", "a%b", "' OR 1=1 --", "*", "/*"):
        assert catalogue.find(q=words) == ([odd[6]] if words == "*" else []), words


def test_filters_narrow_by_code_and_together(catalogue: Catalogue) -> None:
    city = catalogue.add("城市", scene=["CITY_MGMT"], sector_code="L72", region_code="500108")
    work = catalogue.add("工业", scene=["INDUSTRY"], sector_code="C13", region_code="500000")
    both = catalogue.add(
        "二者", scene=["CITY_MGMT", "INDUSTRY"], sector_code="L71", region_code="110000"
    )
    assert catalogue.find(scene="CITY_MGMT") == [both, city]
    assert catalogue.find(sector="L") == [both, city]
    assert catalogue.find(sector="L72") == [city]
    assert catalogue.find(region="50") == [work, city]
    assert catalogue.find(scene="INDUSTRY", region="11") == [both]
    assert catalogue.find(sector="%") == catalogue.find(region="_") == []
    assert len(catalogue.find(provider=catalogue.shop.provider_id)) == 3
    assert catalogue.find(provider=catalogue.shop.rival_id) == []


def test_prices_are_compared_in_one_currency_to_the_last_place(catalogue: Catalogue) -> None:
    cheap = catalogue.add("便宜", "0.000001")
    dear = catalogue.add("贵", "0.0125")
    abroad = catalogue.add("外币", "0.01 USD")
    unpriced = catalogue.add("无价", None)
    assert catalogue.find() == [unpriced, abroad, dear, cheap]
    assert catalogue.find(price_max="0.0125") == [dear, cheap]
    assert catalogue.find(price_max="0.012499") == [cheap]
    assert catalogue.find(price_max="0") == []
    assert catalogue.find(price_max="999999999") == [dear, cheap]
    assert catalogue.find(price_max="1", currency="USD") == [abroad]


def test_a_list_is_newest_first_or_by_title_or_cheapest_first(catalogue: Catalogue) -> None:
    for title, cost in (("b", "3"), ("d", "1"), ("a", "2"), ("c", "1")):
        catalogue.add(title, cost)
    assert catalogue.find() == catalogue.find(sort="newest") == ["c", "a", "d", "b"]
    assert catalogue.find(sort="title") == ["a", "b", "c", "d"]
    assert catalogue.find(sort="price") == ["d", "c", "a", "b"]


@pytest.mark.parametrize("sort", ["newest", "title", "price"])
def test_a_long_list_is_read_page_by_page_without_gap_or_repeat(
    catalogue: Catalogue, sort: str
) -> None:
    titles = [catalogue.add(f"t{number:03d}", str(number % 7)) for number in range(105)]
    pages = catalogue.pages(sort=sort, limit=20)
    assert [len(page) for page in pages] == [20] * 5 + [5]
    found = [title for page in pages for title in page]
    assert sorted(found) == titles
    assert found == catalogue.find(sort=sort, limit=200)
    assert len(catalogue.find()) == 50, "as many as are shown unless told"


@pytest.mark.parametrize("sort", ["newest", "title", "price"])
def test_a_cursor_holds_its_place_while_others_come_and_go(catalogue: Catalogue, sort: str) -> None:
    before = [catalogue.add(f"m{number}", "5") for number in range(9)]
    first = catalogue.page(sort=sort, limit=4)
    shown = [card["title"] for card in first["items"]]
    catalogue.add("a first", "1")
    catalogue.add("z last", "9")
    good(
        catalogue.shop.step(catalogue.shop.provider, first["items"][3]["id"], "delist", reason="x")
    )
    rest: list[str] = []
    cursor = first["next_cursor"]
    while cursor is not None:
        page = catalogue.page(sort=sort, limit=4, cursor=cursor)
        rest += [card["title"] for card in page["items"]]
        cursor = page["next_cursor"]
    assert sorted({*shown, *rest} & set(before)) == before
    assert len(set(shown + rest)) == len(shown + rest)
    assert "a first" not in rest
    assert ("z last" in rest) == (sort != "newest")


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "-1"},
        {"limit": "1e1"},
        {"limit": "many"},
        {"sort": "colour"},
        {"scene": "PARTY"},
        {"q": "x" * 201},
        {"q": " ".join("abcdefghijk")},
        {"price_max": "cheap"},
        {"price_max": "-1"},
        {"price_max": "1e3"},
        {"price_max": ""},
        {"currency": "XXX"},
        {"colour": "red"},
        {"cursor": "x"},
        {"cursor": "////"},
        {"cursor": "eyJhIjoxfQ"},
    ],
)
def test_a_search_that_means_nothing_is_malformed(
    catalogue: Catalogue, query: dict[str, str]
) -> None:
    refused(catalogue.shop.anonymous.get(API, params=query), 400, "malformed")


def test_a_cursor_is_of_the_order_that_it_was_given_out_in(catalogue: Catalogue) -> None:
    for number in range(3):
        catalogue.add(f"t{number}")
    cursor = catalogue.page(sort="title", limit=1)["next_cursor"]
    assert catalogue.find(sort="title", limit=1, cursor=cursor) == ["t1"]
    for sort in ("newest", "price"):
        refused(
            catalogue.shop.anonymous.get(API, params={"sort": sort, "cursor": cursor}),
            400,
            "malformed",
        )
