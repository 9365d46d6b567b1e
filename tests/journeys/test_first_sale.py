"""The first sale, from licence term to payout, on a set calendar with every sum written out.

A data set at 20 calls free a month, then 1.00 up to 50 calls and 0.80 beyond, 100 calls in all.
November: 60 calls are 20 free and 40 at 1.00. December: the quota leaves 40, of which 20 are free
and 20 cost 1.00; then the contract is ended. VAT 6 %, alliance fee 7.5 % of the net.

| | calls | net | VAT | gross | fee | to the provider | Stripe's fee |
|---|---|---|---|---|---|---|---|
| November | 60 | 40.00 | 2.40 | 42.40 | 3.00 | 39.40 | 1.20 |
| December | 40 | 20.00 | 1.20 | 21.20 | 1.50 | 19.70 | 0.60 |
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlmodel import col, select

from app.audit.verifying import verify_receipt
from app.jobs.models import Job
from app.kernel.actor import OPERATOR
from app.reports.fsck import check_everything
from app.reports.inspecting import inspect_any
from app.sandbox.goods import world_gdp
from app.sandbox.http_client import Answer, Client, send
from app.sandbox.parties import API
from tests.journeys.conftest import Market

NOVEMBER_2 = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
DECEMBER_1 = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)  # midnight in Chongqing
DECEMBER_10 = datetime(2026, 12, 10, 1, 0, tzinfo=UTC)


def call(market: Market, slug: str, contract_id: str) -> Answer:
    """A call, asked again while it is 503: a busy machine may read the change feed late."""

    def look() -> Answer | None:
        path, headers = f"/data/{slug}/rows?limit=2&order=-Year", {"Contract": contract_id}
        answer = market.buyer.client.call("GET", path, headers=headers, refusals=True)
        return None if answer.status == 503 else answer

    found: Answer = market.wait_for(look)
    return found


def first_call(market: Market, slug: str, contract_id: str) -> Answer:
    """The first call of a contract, as soon as the gateway has seen it on its change feed."""

    def look() -> Any:
        answer = call(market, slug, contract_id)
        return answer if answer.status == 200 else None

    found: Answer = market.wait_for(look)
    return found


def invoice_of(market: Market, period: str) -> dict[str, Any]:
    invoices = market.buyer.client.get(f"{API}/invoices")["items"]
    [found] = [invoice for invoice in invoices if invoice["period"] == period]
    return dict(found)


def amounts(invoice: dict[str, Any]) -> dict[str, int]:
    return {name: invoice[name]["amount_minor"] for name in ("net", "vat", "gross", "fee")}


def balances(market: Market) -> dict[str, int]:
    """Every account's balance by the ledger's own trial balance, zero ones left out."""
    rows = market.admin.get(f"{API}/ledger/trial-balance")["accounts"]
    return {
        row["account"]: row["balance"]["amount_minor"]
        for row in rows
        if row["balance"]["amount_minor"]
    }


def test_a_sale_from_signature_to_payout_adds_up(market: Market) -> None:
    listed = market.list_goods(world_gdp())
    days = (date(2026, 11, 2), date(2027, 1, 31))
    contract = market.contract(listed, "RESEARCH", days)
    assert contract["state"] == "active"

    # November: sixty calls.
    answer = first_call(market, listed.slug, contract["id"])
    receipts = [answer.headers["usage-receipt"]]
    assert answer.json()["items"][0]["Year"] == 2023
    for _ in range(59):
        receipts.append(call(market, listed.slug, contract["id"]).headers["usage-receipt"])
    early = market.admin.call("POST", f"{API}/billing/periods/2026-11/close", {}, refusals=True)
    assert early.status == 409
    assert early.json()["type"] == "urn:zhigu:problem:period-open"

    # The month is closed, twice: the second time changes nothing.
    market.go_to(DECEMBER_1 + timedelta(hours=1))
    for _ in range(2):
        market.admin.post(f"{API}/billing/periods/2026-11/close")
        market.run_jobs()
    november = invoice_of(market, "2026-11")
    assert amounts(november) == {"net": 4000, "vat": 240, "gross": 4240, "fee": 300}
    assert november["state"] == "issued"
    payment = market.pay(november["id"])
    assert payment["state"] == "succeeded"

    # December: the quota stops the buyer, who ends the contract.
    market.go_to(DECEMBER_10)
    answers = [call(market, listed.slug, contract["id"]) for _ in range(50)]
    assert [answer.status for answer in answers] == [200] * 40 + [429] * 10
    assert answers[-1].json()["type"] == "urn:zhigu:problem:quota-exhausted"
    receipts += [answer.headers["usage-receipt"] for answer in answers[:40]]
    assert len(set(receipts)) == 100
    market.buyer.client.post(f"{API}/contracts/{contract['id']}/end", {"reason": "完成"})
    market.run_jobs()
    december = invoice_of(market, "2026-12")
    assert amounts(december) == {"net": 2000, "vat": 120, "gross": 2120, "fee": 150}
    market.wait_for(lambda: call(market, listed.slug, contract["id"]).status == 403)
    market.pay(december["id"])

    # After the holding period the provider is paid, and nothing is left over.
    connect(market)
    market.go_to(DECEMBER_10 + timedelta(days=8))
    payouts = market.provider.client.get(f"{API}/payouts")["items"]
    assert sorted(payout["amount"]["amount_minor"] for payout in payouts) == [1970, 3940]
    assert {payout["state"] for payout in payouts} == {"paid"}
    assert balances(market) == {
        "alliance:fees": 450,
        "processor:fees": 180,
        "processor:stripe:clearing": 270,
    }

    prove(market, contract, receipts)
    see_from_each_side(market, contract["id"])
    assert waiting(market) == []


def connect(market: Market) -> None:
    """The provider opens its account at the processor, as behind the link that it is given."""
    path = f"{API}/organisations/{market.provider.organisation_id}/payout-account"
    market.provider.client.post(path)
    market.run_jobs()

    def link() -> Any:
        return market.provider.client.get(path)["onboarding_url"]

    url = market.wait_for(link)
    send("POST", url, b"", {})
    market.wait_for(lambda: market.provider.client.get(path)["may_receive"])


def waiting(market: Market) -> list[str]:
    """Kinds of job that were asked for and nobody does: each claim walks over them."""
    with market.installation.transaction(OPERATOR, writes=False) as session:
        open_jobs = select(Job.kind).where(col(Job.done_at).is_(None))
        return list(session.exec(open_jobs))


def see_from_each_side(market: Market, contract_id: str) -> None:
    """What the provider is paid is seen by itself and overseers, by no door of the buyer's."""

    def seen(client: Client) -> set[str]:
        [sale] = client.get(f"{API}/inspect/{contract_id}")["sales"]
        return {link["id"] for link in sale["links"]}

    [sale] = inspect_any(market.installation, contract_id)
    payouts = {link.id for link in sale.links if link.kind == "payout"}
    transfers = {
        link.id for link in sale.links if link.facts.get("cause", "").partition(":")[0] in payouts
    }
    leaves = {link.id for link in sale.links if link.facts.get("subject") in payouts | transfers}
    assert (len(payouts), len(transfers), len(leaves) >= 8) == (2, 2, True)
    theirs = payouts | transfers | leaves
    assert seen(market.provider.client) == seen(market.admin) == sale.ids
    assert seen(market.buyer.client) == sale.ids - theirs
    for hidden in theirs:
        answer = market.buyer.client.call("GET", f"{API}/inspect/{hidden}", refusals=True)
        assert answer.status == 404, hidden
    for payout in payouts:
        trail = f"/audit/trail?subject={payout}"
        assert market.buyer.client.get(trail)["items"] == []
        assert len(market.provider.client.get(trail)["items"]) == 4


def prove(market: Market, contract: dict[str, Any], receipts: list[str]) -> None:
    """The chain reaches the same ids from every one of them, and a receipt verifies offline."""
    market.run_jobs()
    [sale] = inspect_any(market.installation, contract["id"])
    assert set(receipts) <= sale.ids
    kinds = {link.kind for link in sale.links}
    assert {"signature", "usage event", "invoice", "payment", "payout", "transfer"} <= kinds
    for link in sale.links:
        if link.kind == "usage event" and link.id not in (receipts[0], receipts[-1]):
            continue
        [reached] = inspect_any(market.installation, link.id)
        assert reached.ids == sale.ids, f"from {link.kind} {link.id}"
    receipt = market.buyer.client.call("GET", f"{API}/usage/events/{receipts[0]}/receipt").body
    vkey = market.admin.call("GET", "/audit/keys").body.decode().strip()
    proven = verify_receipt(receipt, vkey)
    assert proven.event is not None
    assert proven.event["event_id"] == receipts[0]
    assert list(check_everything(market.installation)) == []
