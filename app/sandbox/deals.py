"""Deals of the demo: a listing is published and a contract signed, over HTTP, as a client would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.kernel.jws import TERMS_TYPE, sign_detached
from app.sandbox.goods import Goods
from app.sandbox.http_client import Client
from app.sandbox.parties import API, Party


@dataclass(frozen=True)
class Wish:
    """What a buyer asks for; the days are the first and the last, both included."""

    listing_id: str
    plan_id: str
    purpose: str
    channel: str
    starts_on: date
    ends_on: date


@dataclass(frozen=True)
class Listed:
    """A published listing and its one plan."""

    listing_id: str
    slug: str
    plan_id: str


def publish(provider: Party, reviewer: Client, goods: Goods) -> Listed:
    """Draft, fill, submit and approve a listing."""
    made = provider.client.post(f"{API}/listings", dict(goods.listing))
    path = f"{API}/listings/{made['id']}"
    source = goods.source
    if "upstream" in source:
        provider.client.call("PUT", f"{path}/upstream", source["upstream"])
    else:
        headers = {
            "Content-Type": source["media_type"],
            "Content-Disposition": f'attachment; filename="{source["file"]}"',
        }
        provider.client.call("POST", f"{path}/files", source["content"], headers=headers)
    provider.client.call("PUT", f"{path}/licence", dict(goods.licence))
    plan_id = provider.client.post(f"{path}/plans", dict(goods.plan))["id"]
    provider.client.post(f"{path}/submit")
    reviewer.post(
        f"{path}/review",
        {"decision": "approve", "reason": "材料齐全", "basis": "数据安全法 第三十三条"},
    )
    return Listed(made["id"], made["slug"], plan_id)


def sign_contract(provider: Party, buyer: Party, wish: Wish, at: datetime) -> Mapping[str, Any]:
    """Request, agree and verify: both sign the same bytes with their own keys; the contract."""
    negotiation = buyer.client.post(
        f"{API}/negotiations",
        {
            "listing_id": wish.listing_id,
            "plan_id": wish.plan_id,
            "purpose": wish.purpose,
            "channel": wish.channel,
            "starts_on": wish.starts_on.isoformat(),
            "ends_on": wish.ends_on.isoformat(),
        },
    )
    path = f"{API}/negotiations/{negotiation['id']}"
    for party, verb in ((provider, "agree"), (buyer, "verify")):
        terms = party.client.call("GET", f"{path}/terms").body
        signature = sign_detached(party.key, terms, typ=TERMS_TYPE, at=at)
        negotiation = party.client.post(f"{path}/{verb}", {"signature": signature})
    contract: Mapping[str, Any] = buyer.client.get(f"{API}/contracts/{negotiation['contract_id']}")
    return contract
