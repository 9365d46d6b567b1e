"""The demo's story: one sale from signature to payout, over HTTP, as a client would play it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.kernel.clock import SystemClock, local_day
from app.sandbox.deals import Wish, sign_contract
from app.sandbox.http_client import send, until
from app.sandbox.parties import API
from app.sandbox.seeding import Demo

QUOTA = 100

Step = Callable[[str, Mapping[str, Any]], None]


@dataclass
class Told:
    """What the story came to: ids by name, and the money at its end in minor units."""

    ids: dict[str, Any] = field(default_factory=dict)
    money: dict[str, int] = field(default_factory=dict)


def play(demo: Demo, step: Step) -> Told:
    """Play the whole chain once; `step` is told of each part as it is done."""
    told = Told()
    _sign(demo, told, step)
    _call(demo, told, step)
    _end_and_invoice(demo, told, step)
    _pay(demo, told, step)
    _pay_out(demo, told, step)
    _prove(demo, told, step)
    return told


def _sign(demo: Demo, told: Told, step: Step) -> None:
    listing = demo.listing("gdp")
    today = local_day(SystemClock().now())
    wish = Wish(
        listing_id=listing["listing_id"],
        plan_id=listing["plan_id"],
        purpose="RESEARCH",
        channel="hosted",
        starts_on=today,
        ends_on=today + timedelta(days=30),
    )
    contract = sign_contract(demo.party("provider"), demo.party("buyer"), wish, SystemClock().now())
    told.ids |= {
        "negotiation": contract["negotiation_id"],
        "contract": contract["id"],
        "grant": contract["grants"][0]["id"],
        "signatures": [signature["id"] for signature in contract["signatures"]],
    }
    terms = {"terms_sha256": contract["terms_sha256"]}
    step("contract signed by both", {"contract": contract["id"], **terms})


def _call(demo: Demo, told: Told, step: Step) -> None:
    buyer = demo.client("buyer")
    path = f"/data/{demo.listing('gdp')['slug']}/rows?limit=5&order=-Year"
    headers = {"Contract": told.ids["contract"]}

    def first() -> Any:
        answer = buyer.call("GET", path, headers=headers, refusals=True)
        return answer if answer.status == 200 else None

    answer = until("the grant is in force", first)
    receipts = [answer.headers["usage-receipt"]]
    while True:
        answer = buyer.call("GET", path, headers=headers, refusals=True)
        if answer.status != 200:
            break
        receipts.append(answer.headers["usage-receipt"])
    told.ids["events"] = receipts
    problem = answer.json()["type"].rpartition(":")[2]
    step(
        "called until the quota stopped it",
        {"answers": len(receipts), "then": f"{answer.status} {problem}", "first": receipts[0]},
    )


def _end_and_invoice(demo: Demo, told: Told, step: Step) -> None:
    buyer = demo.client("buyer")
    contract_id = told.ids["contract"]
    buyer.post(f"{API}/contracts/{contract_id}/end", {"reason": "演示结束"})

    def drawn() -> Any:
        invoices = buyer.get(f"{API}/invoices?contract_id={contract_id}")["items"]
        return next((one for one in invoices if one["state"] != "draft"), None)

    invoice = until("the final invoice is issued", drawn)
    told.ids["invoice"] = invoice["id"]
    told.money["gross"] = invoice["gross"]["amount_minor"]
    told.money["net"] = invoice["net"]["amount_minor"]
    told.money["vat"] = invoice["vat"]["amount_minor"]
    told.money["fee"] = invoice["fee"]["amount_minor"]
    step(
        "contract ended, final invoice issued",
        {"invoice": invoice["id"], "number": invoice["number"], "gross": told.money["gross"]},
    )


def _pay(demo: Demo, told: Told, step: Step) -> None:
    buyer = demo.client("buyer")
    asked = buyer.post(f"{API}/invoices/{told.ids['invoice']}/pay", {"method": "stripe"})
    payment_id = told.ids["payment"] = asked["payment_id"]

    def payment_where(wanted: Callable[[Mapping[str, Any]], Any]) -> Callable[[], Any]:
        def look() -> Any:
            payment = buyer.get(f"{API}/payments/{payment_id}")
            return payment if wanted(payment) else None

        return look

    payment = until("the checkout is open", payment_where(lambda one: one["checkout_url"]))
    step("paying on the sandbox's checkout page", {"payment": payment_id})
    send("POST", payment["checkout_url"], b"", {})
    until("the payment has succeeded", payment_where(lambda one: one["state"] == "succeeded"))
    step("payment received through Stripe's API (sandbox)", {"payment": payment_id})


def _pay_out(demo: Demo, told: Told, step: Step) -> None:
    provider = demo.client("provider")

    def paid() -> Any:
        payouts = provider.get(f"{API}/payouts")["items"]
        return next(
            (
                one
                for one in payouts
                if one["payment_id"] == told.ids["payment"] and one["state"] == "paid"
            ),
            None,
        )

    payout = until("the payout is sent", paid)
    told.ids["payout"] = payout["id"]
    told.money["payout"] = payout["amount"]["amount_minor"]
    step("provider paid", {"payout": payout["id"], "amount": told.money["payout"]})


def _prove(demo: Demo, told: Told, step: Step) -> None:
    auditor = demo.client("auditor")
    sale = auditor.get(f"{API}/inspect/{told.ids['payout']}")["sales"][0]
    ids = {link["id"] for link in sale["links"]}
    missing = [one for one in _flat(told.ids) if one not in ids]
    if missing:
        raise AssertionError(f"the chain from the payout does not reach {missing}")
    told.ids["leaves"] = [link["id"] for link in sale["links"] if link["kind"] == "leaf"]
    step("every id reached from the payout", {"ids": len(ids), "leaves": len(told.ids["leaves"])})
    money = told.money
    if money["net"] + money["vat"] != money["gross"]:
        raise AssertionError("net and VAT do not add up to gross")
    if money["payout"] + money["fee"] != money["gross"]:
        raise AssertionError("payout and alliance fee do not add up to gross")
    step("the money adds up", money)


def _flat(ids: Mapping[str, Any]) -> Iterator[str]:
    for value in ids.values():
        yield from value if isinstance(value, list) else [value]


def story_text(told: Told) -> str:
    """The end of the story for a terminal: the ids and the money."""
    money = {name: f"{minor / 100:.2f}" for name, minor in told.money.items()}
    return json.dumps({"ids": told.ids, "money_cny": money}, ensure_ascii=False, indent=2)
