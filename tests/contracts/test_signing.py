"""Signing."""

from __future__ import annotations

from tests.contracts.market import Market


def test_a_contract_is_made_by_two_signatures(market: Market) -> None:
    contract = market.contract()
    assert contract["state"] == "active"
