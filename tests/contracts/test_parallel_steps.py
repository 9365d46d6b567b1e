"""Both sides step at once, in any order: one step at a time counts, and the log tells each."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlmodel import select

from app.contracts import checking, checking_leaves
from app.contracts.models import Contract, Negotiation
from app.kernel.actor import OPERATOR
from tests.contracts.market import Market, Trader

CALLERS = 8


def all_at_once(step: Callable[[random.Random], int], seed: int, count: int) -> list[int]:
    """The statuses of many random steps."""
    chances = [random.Random(seed * 1_000 + number) for number in range(count)]
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(step, chances))


def broken(market: Market) -> list[str]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        return [*checking.problems(session), *checking_leaves.problems(session)]


def rows(market: Market, model: type[Any]) -> list[Any]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        return list(session.exec(select(model)).all())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_contract_is_held_lifted_and_ended_by_both_sides_at_once(
    market: Market, seed: int
) -> None:
    contract = market.contract()

    def step(chance: random.Random) -> int:
        trader = chance.choice([market.buyer, market.provider])
        verb = chance.choice(["suspend", "resume"] * 8 + ["end"])
        return int(market.contract_step(trader, contract["id"], verb, {}).status_code)

    statuses = all_at_once(step, seed, 40)
    assert set(statuses) <= {200, 403, 409}
    assert 200 in statuses
    assert broken(market) == []
    market.contract_step(market.buyer, contract["id"], "end", {})
    (ended,) = rows(market, Contract)
    assert ended.state.value == "ended"
    assert broken(market) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_negotiation_is_stepped_by_both_sides_at_once(market: Market, seed: int) -> None:
    negotiation_id = market.request()

    def signed(trader: Trader) -> dict[str, Any]:
        return {"signature": market.signature(trader, negotiation_id)}

    steps: list[tuple[Trader, str, Callable[[], dict[str, Any]]]] = [
        (market.provider, "offer", lambda: {"quotas": []}),
        (market.buyer, "counter", lambda: {"purpose": "INDUSTRY"}),
        (market.buyer, "accept", dict),
        (market.provider, "agree", lambda: signed(market.provider)),
        (market.buyer, "verify", lambda: signed(market.buyer)),
    ]

    def step(chance: random.Random) -> int:
        trader, verb, body = chance.choice(steps)
        return int(market.step(trader, negotiation_id, verb, body()).status_code)

    statuses = all_at_once(step, seed, 48)
    assert set(statuses) <= {200, 403, 409}
    assert 200 in statuses
    assert broken(market) == []
    (negotiation,) = rows(market, Negotiation)
    assert len(rows(market, Contract)) == (negotiation.state.value == "FINALIZED")
