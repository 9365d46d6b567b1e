"""The public catalogue: what is found by words, codes and price, in what order, page by page."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.listings.examples import per_unit_plan
from tests.listings.shop import API, Shop, good, refused


def found(shop: Shop, **query: Any) -> list[str]:
    return [item["slug"] for item in good(shop.anonymous.get(API, params=query))["items"]]


def hidden(*content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_words_are_found_whatever_their_width_and_case(shop: Shop) -> None:
    shop.listed("one", title="Ｗorld GDP", keywords=["生产总值"])
    shop.listed("two", title="Rainfall", title_en="Rain", keywords=["降水"], abstract="雨")
    assert found(shop, q="world gdp") == ["one"]
    assert found(shop, q="ＲＡＩＮＦＡＬＬ") == ["two"]
    assert found(shop, q="生产") == ["one"]
    assert found(shop, q="world 降水") == []
    assert found(shop) == ["two", "one"]


def test_a_wildcard_of_the_database_is_a_letter_like_any_other(shop: Shop) -> None:
    shop.listed("one", title="All of 100%", keywords=["a"], abstract="a")
    shop.listed("two", title="under_score", keywords=["b"], abstract="b")
    assert found(shop, q="%") == ["one"]
    assert found(shop, q="_") == ["two"]
    assert found(shop, q="\\") == []
    assert found(shop, sector="%") == []
    assert found(shop, region="______") == []


def test_codes_are_found_by_how_they_begin(shop: Shop) -> None:
    shop.listed("one", sector_code="I65", region_code="500108")
    shop.listed("two", sector_code="A01", region_code="510100")
    assert found(shop, sector="I") == ["one"]
    assert found(shop, region="51") == ["two"]
    assert found(shop, sector="I", region="51") == []


@pytest.mark.parametrize("name", ["sector", "region"])
@pytest.mark.parametrize("length", [11, 60_000])
def test_a_code_longer_than_any_is_malformed(shop: Shop, name: str, length: int) -> None:
    # SQLite fails on a LIKE of more than 50,000 bytes, and a failing store is an outage.
    refused(shop.anonymous.get(API, params={name: "1" * length}), 400, "malformed")


@pytest.mark.parametrize("sort", ["newest", "title", "price"])
def test_pages_follow_each_other_without_gap_or_repeat(shop: Shop, sort: str) -> None:
    for number in range(5):
        listing_id = shop.filled(f"listing-{number}", title=f"Title {number}")
        plan = per_unit_plan()
        plan["charges"][0]["unit_price"]["amount"] = f"0.{number + 1}"
        good(shop.provider.post(f"{API}/{listing_id}/plans", json=plan))
        shop.approve(listing_id)
    query: dict[str, Any] = {"sort": sort, "limit": 2}
    slugs: list[str] = []
    while True:
        page = good(shop.anonymous.get(API, params=query))
        slugs += [item["slug"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    expected = [f"listing-{number}" for number in range(5)]
    assert slugs == (expected[::-1] if sort == "newest" else expected)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        hidden(),
        hidden("newest", "0001-01-01T00:00:00+23:59", "lst_01k0000000000000000000000a"),
        hidden("newest", "9999-12-31T23:59:59-23:59", "lst_01k0000000000000000000000a"),
        hidden("newest", "2026-01-01T00:00:00", "lst_01k0000000000000000000000a"),
        hidden("newest", 5, "lst_01k0000000000000000000000a"),
        hidden("newest", "2026-01-01T00:00:00Z", "org_01k0000000000000000000000a"),
        hidden("title", "a", "lst_01k0000000000000000000000a"),
        "W" * 50_000,
    ],
    ids=lambda cursor: cursor[:40],
)
def test_a_cursor_that_was_not_given_out_is_malformed(shop: Shop, cursor: str) -> None:
    refused(shop.anonymous.get(API, params={"cursor": cursor}), 400, "malformed")
