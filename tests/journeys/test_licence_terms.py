"""A licence as ODRL, from the provider's policy to what the gateway answers under it.

Each test sells the same data twice under policies that differ in one constraint only.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.sandbox.goods import world_gdp
from app.sandbox.http_client import Answer, Refused
from app.sandbox.parties import API
from tests.journeys.conftest import Market

DAYS = (date(2026, 11, 2), date(2026, 11, 30))
NOVEMBER_11 = datetime(2026, 11, 10, 16, 0, tzinfo=UTC)  # midnight in Chongqing
NOVEMBER_12 = datetime(2026, 11, 11, 16, 0, tzinfo=UTC)


def policy(**constraints: tuple[str, str | list[str]]) -> dict[str, Any]:
    """An ODRL offer to use the data under these constraints, for research and industry at most."""
    stated = {"purpose": ("isAnyOf", ["RESEARCH", "INDUSTRY"]), **constraints}
    return {
        "@context": "http://www.w3.org/ns/odrl.jsonld",
        "@type": "Offer",
        "permission": [
            {
                "action": "use",
                "constraint": [
                    {"leftOperand": left, "operator": operator, "rightOperand": right}
                    for left, (operator, right) in stated.items()
                ],
            }
        ],
    }


class Sold:
    """A listing under one policy, and a contract on it."""

    def __init__(
        self,
        market: Market,
        slug: str,
        licence: dict[str, Any],
        purpose: str = "RESEARCH",
        channel: str = "hosted",
    ) -> None:
        self._market = market
        self._slug = slug
        goods = replace(world_gdp(slug), licence=licence)
        modes = {**goods.listing["metadata"], "delivery_modes": ["hosted", "file"]}
        listed = market.list_goods(replace(goods, listing={**goods.listing, "metadata": modes}))
        kept = market.provider.client.get(f"{API}/listings/{listed.listing_id}/licence")["odrl"]
        assert kept["permission"][0]["constraint"] == licence["permission"][0]["constraint"]
        self.contract = market.contract(listed, purpose, DAYS, channel)
        # The gateway has heard of the contract when it no longer says that there is none.
        path = "rows?where=nonsense" if channel == "hosted" else "files/nonsense"
        market.wait_for(lambda: self.call(path).status in {400, 404})

    def ask(self, query: str = "", **headers: str) -> Answer:
        """One call for data."""
        return self.call(f"rows?limit=1{query}", **headers)

    def call(self, path: str, **headers: str) -> Answer:
        """One call below the listing's place."""
        url = f"/data/{self._slug}/{path}"
        return self._market.buyer.client.call("GET", url, headers=headers, refusals=True)

    def problem(self, **headers: str) -> tuple[int, str]:
        answer = self.ask(**headers)
        return answer.status, answer.json()["type"].rpartition(":")[2]


def test_the_purpose_decides_for_what_data_is_given(market: Market) -> None:
    research = Sold(market, "for-research", policy(purpose=("isAnyOf", ["RESEARCH"])))
    with pytest.raises(Refused) as refused:
        Sold(market, "for-industry", policy(purpose=("isAnyOf", ["INDUSTRY"])))
    assert refused.value.answer.json()["type"] == "urn:zhigu:problem:not-licensed"
    industry = Sold(
        market, "for-industry-too", policy(purpose=("isAnyOf", ["INDUSTRY"])), "INDUSTRY"
    )
    assert research.ask(Purpose="RESEARCH").status == 200
    assert research.problem(Purpose="INDUSTRY") == (403, "purpose-not-allowed")
    assert industry.ask(Purpose="INDUSTRY").status == 200
    assert industry.problem(Purpose="RESEARCH") == (403, "purpose-not-allowed")


def test_the_count_decides_how_often_data_are_given(market: Market) -> None:
    twice = Sold(market, "twice", policy(count=("lteq", "2")))
    thrice = Sold(market, "thrice", policy(count=("lteq", "3")))
    assert [twice.ask().status for _ in range(4)] == [200, 200, 429, 429]
    assert [thrice.ask().status for _ in range(4)] == [200, 200, 200, 429]
    answer = thrice.ask()
    assert answer.json()["type"] == "urn:zhigu:problem:quota-exhausted"
    assert answer.json()["windows"][0]["limit_units"] == 3
    assert "retry-after" not in answer.headers, "what a licence counts does not come back"


def test_columns_and_rows_decide_which_part_of_the_data_is_given(market: Market) -> None:
    part = {
        "zhigu:columns": ("isAnyOf", ["Year", "Value"]),
        "zhigu:rows": ("eq", "\"Country Code\" = 'CHN' and Year >= 2000"),
    }
    with pytest.raises(Refused) as refused:
        Sold(market, "no-such-part", policy(**{"zhigu:rows": ("eq", "Province = 'CQ'")}))
    (gate,) = refused.value.answer.json()["gates"]
    assert gate["gate"] == "licence"
    assert "There is no column 'Province'" in gate["reason"]

    rows = Sold(market, "part", policy(**part)).call("rows?limit=1000").json()["items"]
    assert [row["Year"] for row in rows] == list(range(2000, 2000 + len(rows)))
    assert {name for row in rows for name in row} == {"Year", "Value"}

    sold = Sold(market, "part-as-file", policy(**part), channel="file")
    name = sold.call("files").json()["items"][0]["name"]
    assert name == "world_gdp.csv"
    file = sold.call(f"files/{name}")
    assert len(file.body.splitlines()) == 1 + len(rows)
    assert {line.count(b",") for line in file.body.splitlines()} == {1}
    assert sold.contract["id"] in file.headers["content-disposition"]
    again = sold.call(f"files/{name}", **{"If-None-Match": file.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    events = market.buyer.client.get(f"{API}/usage/events")["items"]
    assert sorted(event["operation"] for event in events) == ["files", "rows"]


def test_the_end_date_decides_until_when_data_are_given(market: Market) -> None:
    short = Sold(market, "short", policy(dateTime=("lt", "2026-11-11T00:00:00+08:00")))
    long = Sold(market, "long", policy(dateTime=("lt", "2026-11-12T00:00:00+08:00")))
    assert short.ask().status == long.ask().status == 200
    market.clock.set_to(NOVEMBER_11)
    market.wait_for(lambda: long.ask().status == 200)
    assert short.problem() == (403, "no-grant")
    assert short.ask().json()["reason"] == "expired"
    market.clock.set_to(NOVEMBER_12)
    assert long.problem() == (403, "no-grant")
