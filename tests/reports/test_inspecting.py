"""The inspector over HTTP: the newest sales of what many share, and only those of the caller."""

from __future__ import annotations

from typing import Any

import pytest

from app.db.installation import Installation
from app.reports import routes
from tests.conftest import Api, Caller
from tests.contracts.market import API, Market


def inspected(caller: Caller, any_id: str) -> Any:
    answer = caller.get(f"{API}/inspect/{any_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_many_sales_share_shows_the_newest(
    installation: Installation, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MAX_SALES", 2)
    monkeypatch.setattr(routes, "AT_ONCE", 1)
    market = Market(installation, api)
    contracts = [market.contract()["id"] for _ in range(3)]
    for trader in (market.buyer, market.provider):
        for shared in (market.goods.listing_id, market.goods.plan_id, trader.id):
            found = inspected(trader.caller, shared)
            assert [sale["contract_id"] for sale in found["sales"]] == contracts[:0:-1]
            assert found["more"] is True
    found = inspected(market.buyer.caller, contracts[0])
    assert [sale["contract_id"] for sale in found["sales"]] == contracts[:1]
    assert found["more"] is False


def test_a_stranger_sees_no_sale_of_what_it_might_buy_itself(
    installation: Installation, api: Api
) -> None:
    market = Market(installation, api)
    contract = market.contract()
    for any_id in (contract["id"], contract["negotiation_id"], market.goods.listing_id):
        assert market.stranger.caller.get(f"{API}/inspect/{any_id}").status_code == 404
