"""Ending: by a party before its day, or by the calendar on it; once, and billing learns of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlmodel import select

from app.contracts import ending
from app.contracts.tasks import SCHEDULE, expire_due
from app.jobs.models import Job
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock, from_rfc3339
from tests.contracts.market import API, Market
from tests.contracts.test_granting import compiled
from tests.contracts.test_negotiating import problem


def endings(market: Market) -> list[Any]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        jobs = session.exec(select(Job).where(Job.kind == "contract.ended")).all()
    return sorted(job.payload["contract_id"] for job in jobs)


def shown(market: Market, contract: dict[str, Any]) -> dict[str, Any]:
    return dict(market.buyer.caller.get(f"{API}/contracts/{contract['id']}").json())


def test_either_side_ends_a_contract_once(market: Market, clock: SetClock) -> None:
    contracts = {who: market.contract() for who in ("buyer", "provider")}
    clock.advance(timedelta(days=3))
    for who, contract in contracts.items():
        trader = getattr(market, who)
        answer = market.contract_step(trader, contract["id"], "end", {"reason": "完成"})
        ended = answer.json()
        assert (ended["state"], ended["ended_by"], ended["reason"]) == ("ended", who, "完成")
        assert ended["ended_at"] == "2026-11-05T01:00:00Z"
        document = compiled(market, contract)
        assert (document["live"], document["reason"], document["epoch"]) == (False, "ended", 2)
        again = market.contract_step(trader, contract["id"], "end")
        problem(again, 409, "step-not-allowed")
    assert endings(market) == sorted(contract["id"] for contract in contracts.values())


def test_the_calendar_ends_a_contract_after_its_last_day_and_not_before(
    market: Market, clock: SetClock
) -> None:
    contract = market.contract(ends_on="2026-11-30")
    other = market.contract(ends_on="2026-12-01")
    suspended = market.contract(ends_on="2026-11-30")
    market.contract_step(market.provider, suspended["id"], "suspend")
    last_moment = from_rfc3339("2026-11-30T15:59:59.999999Z")
    clock.set_to(last_moment)
    expire_due(market.installation)
    assert shown(market, contract)["state"] == "active"
    clock.set_to(last_moment + timedelta(microseconds=1))
    expire_due(market.installation)
    expire_due(market.installation)
    for over in (contract, suspended):
        found = shown(market, over)
        assert (found["state"], found["ended_at"]) == ("expired", "2026-11-30T16:00:00Z")
        assert found["ended_by"] is None
        assert compiled(market, over)["reason"] == "expired"
    assert shown(market, other)["state"] == "active"
    assert endings(market) == sorted([contract["id"], suspended["id"]])


def test_one_sweep_expires_however_many_there_are(
    market: Market, clock: SetClock, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ending, "AT_ONCE", 2)
    monkeypatch.setattr("app.contracts.tasks.AT_ONCE", 2)
    contracts = [market.contract(ends_on="2026-11-02") for _ in range(5)]
    clock.advance(timedelta(days=30))
    SCHEDULE[0].run(market.installation)
    assert [shown(market, contract)["state"] for contract in contracts] == ["expired"] * 5
    assert {shown(market, contract)["ended_at"] for contract in contracts} == {
        "2026-11-02T16:00:00Z"
    }


def test_a_contract_that_is_over_but_not_swept_ends_at_its_own_end(
    market: Market, clock: SetClock
) -> None:
    contract = market.contract(ends_on="2026-11-02")
    clock.advance(timedelta(days=30))
    ended = market.contract_step(market.buyer, contract["id"], "end").json()
    assert (ended["state"], ended["ended_at"]) == ("ended", "2026-11-02T16:00:00Z")
