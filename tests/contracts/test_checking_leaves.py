"""Fsck's A1 of contracts: a row that came to be, or moved, behind the log's back is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from app.contracts.checking_leaves import problems
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from tests.breaking import missed
from tests.contracts.market import Market, Trader


def found(installation: Installation) -> list[str]:
    with installation.snapshot(OPERATOR) as session:
        return list(problems(session))


@dataclass
class Lives:
    """Contracts and negotiations, one in each stage of its life."""

    market: Market
    clock: SetClock

    def __post_init__(self) -> None:
        market, buyer, provider = self.market, self.market.buyer, self.market.provider
        self.requested = market.request()
        self.offered = market.request()
        self.step(provider, self.offered, "offer", {"ends_on": "2027-05-01"})
        self.countered = market.request()
        self.step(provider, self.countered, "offer", {"ends_on": "2027-05-01"})
        self.step(buyer, self.countered, "counter", {"ends_on": "2027-06-01"})
        self.accepted = market.request()
        self.step(provider, self.accepted, "offer", {"ends_on": "2027-05-01"})
        self.step(buyer, self.accepted, "accept")
        self.terminated = market.request()
        self.step(provider, self.terminated, "terminate", {"reason": "不再提供"})
        self.agreed = market.request()
        self.clock.advance(timedelta(seconds=1))
        market.sign(provider, self.agreed, "agree")
        self.active = self.contract()
        self.held = self.contract()
        self.move(buyer, self.held, "suspend", {"reason": "核对"})
        self.move(provider, self.held, "suspend", {"reason": "核对"})
        self.move(buyer, self.held, "resume")
        self.resumed = self.contract()
        self.move(buyer, self.resumed, "suspend", {"reason": "核对"})
        self.move(buyer, self.resumed, "resume")
        units = {"kind": "top_up", "units": 5}
        given = market.contract_step(provider, self.contract(), "unit-grants", units)
        self.units = given.json()["id"]
        self.ended = self.contract()
        self.move(buyer, self.ended, "end", {"reason": "到此为止"})

    def contract(self) -> str:
        self.clock.advance(timedelta(seconds=1))
        return str(self.market.contract()["id"])

    def step(self, trader: Trader, negotiation_id: str, verb: str, body: object = None) -> None:
        self.clock.advance(timedelta(seconds=1))
        answer = self.market.step(trader, negotiation_id, verb, body)
        assert answer.status_code == 200, answer.text

    def move(self, trader: Trader, contract_id: str, verb: str, body: object = None) -> None:
        self.clock.advance(timedelta(seconds=1))
        answer = self.market.contract_step(trader, contract_id, verb, body)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def lives(market: Market, clock: SetClock) -> Lives:
    lives = Lives(market, clock)
    assert found(market.installation) == []
    return lives


LATER = "'2026-12-01T00:00:00.000000Z'"
BREAKS = {
    "units without a leaf": (
        "DELETE FROM audit_leaf WHERE subject_id = '{0.units}'",
        "A1: unit grant {0.units} is not what its leaf says",
    ),
    "more units than were granted": (
        "UPDATE granted_units SET amount_units = 6",
        "A1: unit grant {0.units} is not what its leaf says",
    ),
    "units that are gone": (
        "DELETE FROM granted_units",
        "{0.units}",
    ),
    "terms without a leaf": (
        "DELETE FROM audit_leaf WHERE subject_id = '{0.countered}' AND kind LIKE '%countered'",
        "A1: terms 3 of {0.countered} were proposed without a leaf",
    ),
    "terms of another moment": (
        "UPDATE terms_version SET proposed_at = {1} WHERE negotiation_id = '{0.requested}'",
        "A1: terms 1 of {0.requested} were proposed without a leaf",
    ),
    "a signature of another moment": (
        "UPDATE signature SET signed_at = {1} WHERE negotiation_id = '{0.agreed}'",
        "A1: signature sig_",
    ),
    "a signature under another key": (
        "UPDATE signature SET kid = 'k' WHERE negotiation_id = '{0.agreed}'",
        "A1: signature sig_",
    ),
    "a signature that is gone": (
        "DELETE FROM signature WHERE negotiation_id = '{0.agreed}'",
        "A1: negotiation {0.agreed} is AGREED, the log says REQUESTED",
    ),
    "a negotiation without a leaf": (
        "DELETE FROM audit_leaf WHERE subject_id = '{0.requested}'",
        "A1: negotiation {0.requested} was begun without a leaf",
    ),
    "a negotiation that goes on": (
        "UPDATE negotiation SET state = 'REQUESTED' WHERE id = '{0.terminated}'",
        "A1: negotiation {0.terminated} is REQUESTED, the log says TERMINATED",
    ),
    "a negotiation that was accepted by nobody": (
        "UPDATE negotiation SET state = 'ACCEPTED' WHERE id = '{0.offered}'",
        "A1: negotiation {0.offered} is ACCEPTED, the log says OFFERED",
    ),
    "a negotiation that ended without a contract": (
        "UPDATE negotiation SET state = 'FINALIZED' WHERE id = '{0.agreed}'",
        "A1: negotiation {0.agreed} is FINALIZED, the log says AGREED",
    ),
    "a negotiation that moved at another moment": (
        "UPDATE negotiation SET moved_at = {1} WHERE id = '{0.accepted}'",
        "A1: negotiation {0.accepted} did not move when the log says",
    ),
    "a contract without a leaf": (
        "DELETE FROM audit_leaf WHERE subject_id = '{0.active}'",
        "A1: contract {0.active} was concluded without a leaf",
    ),
    "a contract of another moment": (
        "UPDATE contract SET activated_at = {1} WHERE id = '{0.active}'",
        "A1: contract {0.active} was concluded without a leaf",
    ),
    "a contract that was suspended by nobody": (
        "UPDATE contract SET state = 'suspended' WHERE id = '{0.active}'",
        "A1: contract {0.active} is suspended, the log says active",
    ),
    "a contract that lives on though held": (
        "UPDATE contract SET state = 'active' WHERE id = '{0.held}'",
        "A1: contract {0.held} is active, the log says suspended",
    ),
    "a contract that lives again": (
        "UPDATE contract SET state = 'active', ended_at = NULL WHERE id = '{0.ended}'",
        "A1: contract {0.ended} is active, the log says ended",
    ),
    "a contract that ended later": (
        "UPDATE contract SET ended_at = {1} WHERE id = '{0.ended}'",
        "A1: contract {0.ended} did not end when the log says",
    ),
    "a hold of another reason": (
        "UPDATE contract_hold SET reason = 'other' WHERE contract_id = '{0.held}'",
        "A1: the provider's hold on {0.held} was made without a leaf",
    ),
    "a grant of another epoch": (
        "UPDATE data_grant SET epoch = 9 WHERE contract_id = '{0.active}'",
        "A1: grant grt_",
    ),
    "a grant that lives again": (
        "UPDATE data_grant SET live = true, reason = NULL WHERE contract_id = '{0.ended}'",
        "A1: grant grt_",
    ),
    "a grant that is gone": (
        "DELETE FROM data_grant WHERE contract_id = '{0.active}'",
        "is gone; leaf leaf_",
    ),
    "a negotiation that is gone": (
        "DELETE FROM terms_version WHERE negotiation_id = '{0.requested}'",
        "DELETE FROM negotiation WHERE id = '{0.requested}'",
        "A1: {0.requested} is gone; leaf leaf_",
    ),
}


def test_a_row_behind_the_logs_back_is_named(lives: Lives) -> None:
    breaks = {
        name: tuple(part.format(lives, LATER) for part in parts) for name, parts in BREAKS.items()
    }
    assert missed(lives.market.installation, problems, breaks) == {}
