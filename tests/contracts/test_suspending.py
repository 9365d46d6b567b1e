"""Suspending and resuming: whoever holds, lifts."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from app.audit.models import Leaf
from app.contracts.suspending import resume_contract, suspend_contract
from app.kernel.actor import OPERATOR, job_actor
from tests.contracts.market import API, Market
from tests.contracts.test_granting import compiled, told
from tests.contracts.test_negotiating import problem


def shown(market: Market, contract: dict[str, Any]) -> dict[str, Any]:
    return dict(market.buyer.caller.get(f"{API}/contracts/{contract['id']}").json())


def test_a_suspended_contract_has_a_dead_grant_until_the_same_side_resumes(market: Market) -> None:
    contract = market.contract()
    reason = {"reason": "对账"}
    suspended = market.contract_step(market.provider, contract["id"], "suspend", reason).json()
    assert suspended["state"] == "suspended"
    assert suspended["grants"][0]["reason"] == "suspended"
    assert suspended["holds"] == [
        {"side": "provider", "since": "2026-11-02T01:00:00Z", "reason": "对账"}
    ]
    document = compiled(market, contract)
    assert (document["live"], document["reason"], document["epoch"]) == (False, "suspended", 2)
    problem(market.contract_step(market.buyer, contract["id"], "resume"), 403, "not-your-step")
    resumed = market.contract_step(market.provider, contract["id"], "resume").json()
    assert (resumed["state"], resumed["holds"]) == ("active", [])
    document = compiled(market, contract)
    assert (document["live"], document["reason"], document["epoch"]) == (True, None, 3)
    grant_id = contract["grants"][0]["id"]
    assert told(market, grant_id) == ["grant.apply:1", "grant.apply:2", "grant.apply:3"]
    with market.installation.transaction(OPERATOR, writes=False) as session:
        leaves = session.exec(select(Leaf).where(Leaf.subject_id == contract["id"])).all()
    assert {leaf.kind for leaf in leaves} == {
        "contract:finalized",
        "contract:suspended",
        "contract:resumed",
    }
    parties = sorted([market.buyer.id, market.provider.id])
    assert all(leaf.organisations == parties for leaf in leaves)


def test_calls_go_on_only_when_every_side_has_let_go(market: Market) -> None:
    contract = market.contract()
    for trader in (market.buyer, market.provider):
        answer = market.contract_step(trader, contract["id"], "suspend")
        assert answer.status_code == 200, answer.text
    with market.installation.transaction(job_actor("dunning")) as session:
        suspend_contract(session, contract["id"], "invoice overdue")
    assert [hold["side"] for hold in shown(market, contract)["holds"]] == [
        "alliance",
        "buyer",
        "provider",
    ]
    assert compiled(market, contract)["epoch"] == 2
    market.contract_step(market.buyer, contract["id"], "resume")
    with market.installation.transaction(job_actor("dunning")) as session:
        resume_contract(session, contract["id"])
    assert shown(market, contract)["state"] == "suspended"
    assert not compiled(market, contract)["live"]
    assert market.contract_step(market.provider, contract["id"], "resume").status_code == 200
    assert shown(market, contract)["state"] == "active"
    assert compiled(market, contract)["live"]


def test_a_side_holds_once_and_what_runs_is_not_resumed(market: Market) -> None:
    contract = market.contract()
    problem(market.contract_step(market.buyer, contract["id"], "resume"), 409, "step-not-allowed")
    assert market.contract_step(market.buyer, contract["id"], "suspend").status_code == 200
    again = market.contract_step(market.buyer, contract["id"], "suspend")
    problem(again, 409, "step-not-allowed")


def test_what_is_over_is_neither_suspended_nor_resumed(market: Market) -> None:
    contract = market.contract()
    market.contract_step(market.buyer, contract["id"], "suspend")
    market.contract_step(market.buyer, contract["id"], "end")
    for verb in ("suspend", "resume"):
        answer = market.contract_step(market.buyer, contract["id"], verb)
        assert problem(answer, 409, "step-not-allowed")["state"] == "ended"
    assert compiled(market, contract)["reason"] == "ended"
