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
        self, market: Market, slug: str, licence: dict[str, Any], purpose: str = "RESEARCH"
    ) -> None:
        self._market = market
        self._slug = slug
        listed = market.list_goods(replace(world_gdp(slug), licence=licence))
        kept = market.provider.client.get(f"{API}/listings/{listed.listing_id}/licence")["odrl"]
        assert kept["permission"][0]["constraint"] == licence["permission"][0]["constraint"]
        self.contract = market.contract(listed, purpose, DAYS)
        # The gateway has heard of the contract when it no longer says that there is none.
        market.wait_for(lambda: self.ask("&where=nonsense").status == 400)

    def ask(self, query: str = "", **headers: str) -> Answer:
        """One call for data."""
        path = f"/data/{self._slug}/rows?limit=1{query}"
        return self._market.buyer.client.call("GET", path, headers=headers, refusals=True)

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
