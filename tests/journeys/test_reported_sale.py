"""A sale whose data the provider delivers elsewhere: published, signed, reported, seen and billed.

Items at 100 free a month, then 0.50 each; 1,000 a month at most. VAT 6 %, alliance fee 7.5 %.
In November 300 and 200 items are reported, and the 200 corrected to 180: 480, of which 380 cost.
November is closed. In December 40 items of November come late and its 300 are corrected to 290: 30
more at 0.50. December's own 150 are 100 free and 50 at 0.50.

| | items | net | VAT | gross | fee | to the provider |
|---|---|---|---|---|---|---|
| November | 480 | 190.00 | 11.40 | 201.40 | 14.25 | 187.15 |
| December | 150 | 25.00 | | | | |
| late for November | 30 | 15.00 | | | | |
| December's invoice | 180 | 40.00 | 2.40 | 42.40 | 3.00 | 39.40 |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.audit.verifying import verify_receipt
from app.reports.fsck import check_everything
from app.reports.inspecting import inspect_any
from app.sandbox.deals import Listed, Wish, sign_contract
from app.sandbox.goods import price, world_gdp
from app.sandbox.parties import API
from tests.journeys.conftest import Market
from tests.journeys.test_first_sale import amounts, call, invoice_of
from tests.metering.reports import BATCHED, correction, report

NOVEMBER_20 = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
DECEMBER_1 = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)  # midnight in Chongqing
DECEMBER_10 = datetime(2026, 12, 10, 1, 0, tzinfo=UTC)
JANUARY_1 = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
PER_ITEM = {"model": "per_unit", "unit_price": price("0.50")}
PLAN = {
    "name": "模型评分",
    "meter": "item",
    "charges": [{"model": "included", "units": 100, "then": PER_ITEM}],
    "quotas": [{"window": "month", "limit_units": 1_000, "overage": "block"}],
}


def publish_reported(market: Market) -> Listed:
    """A listing without data here: its provider runs the model and says what was used."""
    goods, client = world_gdp("model-scores"), market.provider.client
    metadata = {**goods.listing["metadata"], "delivery_modes": ["reported"]}
    made = client.post(
        f"{API}/listings", {**goods.listing, "delivery": "reported", "metadata": metadata}
    )
    path = f"{API}/listings/{made['id']}"
    client.call("PUT", f"{path}/licence", {**goods.licence, "channels": ["reported"]})
    plan_id = client.post(f"{path}/plans", PLAN)["id"]
    client.post(f"{path}/submit")
    market.admin.post(
        f"{path}/review",
        {"decision": "approve", "reason": "材料齐全", "basis": "数据安全法 第三十三条"},
    )
    return Listed(made["id"], made["slug"], plan_id)


def sign(market: Market, listed: Listed) -> dict[str, Any]:
    days = (date(2026, 11, 2), date(2027, 1, 31))
    wish = Wish(listed.listing_id, listed.plan_id, "RESEARCH", "reported", *days)
    contract = sign_contract(market.provider, market.buyer, wish, market.clock.now())
    market.run_jobs()
    return dict(contract)


def tell(market: Market, contract: Mapping[str, Any], *events: dict[str, Any]) -> list[Any]:
    """Report events on the contract; each result's status and units."""
    batch = [{**event, "subject": contract["id"]} for event in events]
    headers = {"Content-Type": BATCHED}
    content = json.dumps(batch).encode()
    answer = market.provider.client.call("POST", f"{API}/usage/reports", content, headers=headers)
    return [(item["status"], item["units"], item["event_id"]) for item in answer.json()["items"]]


def lines_of(market: Market, invoice: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    lines = market.buyer.client.get(f"{API}/invoices/{invoice['id']}")["lines"]
    return [(line["kind"], line["units"], line["amount"]["amount_minor"]) for line in lines]


def test_a_reported_sale_adds_up(market: Market) -> None:
    listed = publish_reported(market)
    contract = sign(market, listed)
    market.go_to(NOVEMBER_20)
    first, second = (
        report("run-1", 300, time="2026-11-10T08:00:00+08:00"),
        report("run-2", 200, time="2026-11-20T08:00:00+08:00"),
    )
    found = tell(market, contract, first, second)
    assert [status for status, _, _ in found] == ["posted", "posted"]
    fix = correction("fix-2", 180, "run-2", time="2026-11-20T09:00:00+08:00")
    assert [status for status, _, _ in tell(market, contract, second, fix)] == [
        "duplicate",
        "posted",
    ]
    assert tell(market, contract, report("run-3", 521)) == [("refused", None, None)]

    # Nothing of it goes through the gateway.
    assert call(market, listed.slug, contract["id"]).status == 403

    see_from_both_sides(market, contract)

    market.go_to(DECEMBER_1 + timedelta(hours=1))
    market.admin.post(f"{API}/billing/periods/2026-11/close")
    market.run_jobs()
    november = invoice_of(market, "2026-11")
    assert amounts(november) == {"net": 19000, "vat": 1140, "gross": 20140, "fee": 1425}
    assert lines_of(market, november) == [("included", 100, 0), ("usage", 380, 19000)]

    come_late(market, contract)
    # The receipt proves the report with what it said; the chain reaches it.
    receipt = market.buyer.client.call("GET", f"{API}/usage/events/{found[0][2]}/receipt").body
    proven = verify_receipt(receipt, market.admin.call("GET", "/audit/keys").body.decode().strip())
    assert proven.event is not None
    assert proven.event["reported"]["id"] == "run-1"
    [sale] = inspect_any(market.installation, found[0][2])
    assert {event_id for _, _, event_id in found} <= sale.ids
    assert list(check_everything(market.installation)) == []


def see_from_both_sides(market: Market, contract: Mapping[str, Any]) -> None:
    """Buyer and provider see the same, at once."""
    for client in (market.buyer.client, market.provider.client):
        [use] = client.get(f"{API}/usage?contract_id={contract['id']}&group_by=month")["items"]
        assert (use["key"], use["meter"], use["units"]) == ("2026-11", "item", 480)
        [window] = client.get(f"{API}/usage/windows?contract_id={contract['id']}")["items"]
        assert (window["used_units"], window["remaining_units"]) == (480, 520)
        events = client.get(f"{API}/usage/events?contract_id={contract['id']}")["items"]
        assert [(event["kind"], event["units"]) for event in events] == [
            ("posted", 300),
            ("posted", 200),
            ("void", 200),
            ("posted", 180),
        ]
        assert events[3]["reported"]["corrects"] == 2


def come_late(market: Market, contract: Mapping[str, Any]) -> None:
    """What comes late for November is on the next invoice, at what it makes November dearer."""
    market.go_to(DECEMBER_10)
    late, fix, own = (
        report("run-4", 40, time="2026-11-30T23:59:59+08:00"),
        correction("fix-1", 290, "run-1", time="2026-12-10T08:00:00+08:00"),
        report("run-5", 150, time="2026-12-09T08:00:00+08:00"),
    )
    assert [status for status, _, _ in tell(market, contract, late, fix, own)] == ["posted"] * 3
    preview = market.buyer.client.get(f"{API}/billing/preview?contract_id={contract['id']}")
    assert preview["net"]["amount_minor"] == 4000
    market.go_to(JANUARY_1 + timedelta(hours=1))
    market.admin.post(f"{API}/billing/periods/2026-12/close")
    market.run_jobs()
    december = invoice_of(market, "2026-12")
    assert amounts(december) == {"net": 4000, "vat": 240, "gross": 4240, "fee": 300}
    assert lines_of(market, december) == [
        ("included", 100, 0),
        ("usage", 50, 2500),
        ("late", 30, 1500),
    ]
    shown = market.buyer.client.get(f"{API}/invoices/{december['id']}")
    assert shown["lines"][2]["late_for"] == "2026-11"
    assert "late usage of 2026-11" in shown["lines"][2]["description"]
