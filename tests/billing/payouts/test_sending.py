"""The provider's share goes to its account: after the holding period, once, from captured money."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlmodel import select

from app.billing.ledger.accounts import Processor
from app.billing.ledger.models import TransferKind
from app.billing.ledger.posting import post
from app.billing.ledger.posting_rules import payout_sent
from app.billing.payouts.holding import release_due
from app.billing.payouts.models import Payout
from app.billing.payouts.sending import send_payout
from app.jobs.models import Job
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.kernel.money import CNY, Money
from app.sandbox.stripe_double.faults import FaultKind
from tests.billing.killing import killed_everywhere
from tests.billing.till import Till

HOLD = timedelta(days=7)
AFTER = {"processor:stripe:clearing": 4_50, "processor:fees": 3_00, "alliance:fees": 7_50}


def payouts(till: Till) -> list[dict[str, Any]]:
    answer = till.provider.get("/api/v1/payouts")
    assert answer.status_code == 200
    return list(answer.json()["items"])


def the_payout(till: Till) -> dict[str, Any]:
    (only,) = payouts(till)
    return only


def pass_time(till: Till, clock: SetClock, by: timedelta = HOLD) -> None:
    clock.advance(by)
    till.work()


def test_the_worked_example_ends_with_these_balances(till: Till, clock: SetClock) -> None:
    account = till.onboard()
    payment_id = till.paid()
    payout = the_payout(till)
    assert (payout["state"], payout["payment_id"]) == ("held", payment_id)
    assert payout["amount"] == {"amount_minor": 98_50, "currency": "CNY"}
    pass_time(till, clock, HOLD - timedelta(seconds=1))
    assert the_payout(till)["state"] == "held"
    pass_time(till, clock, timedelta(seconds=1))
    payout = the_payout(till)
    assert payout["state"] == "paid"
    assert till.balances() == AFTER
    (transfer,) = till.double.all_of("transfer")
    (charge,) = till.double.all_of("charge")
    assert payout["transfer"] == transfer["id"]
    assert (transfer["destination"], transfer["amount"]) == (account, 98_50)
    assert (transfer["source_transaction"], transfer["transfer_group"]) == (
        charge["id"],
        payment_id,
    )
    assert till.leaves(payout["id"]) == [
        "payout:held",
        "payout:due",
        "payout:sending",
        "payout:paid",
    ]


def test_a_payout_waits_for_its_providers_account(till: Till, clock: SetClock) -> None:
    till.paid()
    pass_time(till, clock)
    assert the_payout(till)["state"] == "due"
    assert till.double.all_of("transfer") == []
    till.onboard()
    till.work()
    assert the_payout(till)["state"] == "paid"
    assert till.balances() == AFTER


def test_only_the_provider_and_overseers_see_a_payout(till: Till) -> None:
    till.paid()
    path = f"/api/v1/payouts/{the_payout(till)['id']}"
    assert till.provider.get(path).status_code == 200
    assert till.auditor.get(path).status_code == 200
    for caller in (till.buyer, till.api.as_client(new_id("org"), "billing:read")):
        assert caller.get(path).status_code == 404
        assert caller.get("/api/v1/payouts").json()["items"] == []


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.ERROR_AFTER,
        FaultKind.RATE_LIMIT,
        FaultKind.CONFLICT,
    ],
)
def test_silence_repeats_the_identical_transfer_under_its_key(
    till: Till, clock: SetClock, fault: FaultKind
) -> None:
    till.onboard()
    till.paid()
    till.double.fail(fault, "/v1/transfers")
    pass_time(till, clock)
    payout = the_payout(till)
    assert payout["state"] == "sending"
    clock.advance(timedelta(seconds=5))
    till.work()
    assert the_payout(till)["state"] == "paid"
    asked = till.double.requests("/v1/transfers")
    assert len(asked) == 2
    assert {one["key"] for one in asked} == {f"{payout['id']}:transfer:1"}
    assert len(till.double.all_of("transfer")) == 1
    assert till.balances() == AFTER


def test_after_the_keys_life_the_transfer_is_looked_for_first(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    till.double.fail(FaultKind.ERROR_AFTER, "/v1/transfers")
    pass_time(till, clock)
    assert the_payout(till)["state"] == "sending"
    clock.advance(timedelta(hours=30))
    till.work()
    assert the_payout(till)["state"] == "paid"
    assert len(till.double.requests("/v1/transfers")) == 1


def test_a_refused_transfer_fails_and_can_be_tried_again(till: Till, clock: SetClock) -> None:
    account = till.onboard()
    till.paid()
    with till.installation.market.begin() as connection:
        connection.execute(text("UPDATE payout_account SET account = 'acct_gone'"))
    pass_time(till, clock)
    payout = the_payout(till)
    assert payout["state"] == "failed"
    assert payout["failure"]
    assert till.balances()["payable:provider:available"] == 98_50
    with till.installation.market.begin() as connection:
        connection.execute(text("UPDATE payout_account SET account = :a"), {"a": account})
    path = f"/api/v1/payouts/{payout['id']}/retry"
    assert till.buyer.post(path).status_code == 404
    assert till.provider.post(path).json()["state"] == "due"
    assert till.provider.post(path).status_code == 409
    till.work()
    assert the_payout(till)["state"] == "paid"
    assert till.double.requests("/v1/transfers")[-1]["key"] == f"{payout['id']}:transfer:2"
    assert till.balances() == AFTER


def test_a_payout_never_exceeds_what_is_available(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    with till.installation.transaction(OPERATOR) as session:
        # Part of the money has gone another way: what is left does not cover the payout.
        gone = payout_sent(till.provider_id, Processor.STRIPE, Money(1, CNY))
        post(session, "test:gone", TransferKind.PAYOUT_SENT, gone)
    pass_time(till, clock)
    assert the_payout(till)["state"] == "due"
    assert till.double.requests("/v1/transfers") == []


def test_payouts_that_are_on_their_way_count_as_gone(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    till.paid()
    with till.installation.transaction(OPERATOR) as session:
        gone = payout_sent(till.provider_id, Processor.STRIPE, Money(98_50, CNY))
        post(session, "test:gone", TransferKind.PAYOUT_SENT, gone)
    till.double.fail(FaultKind.TIMEOUT_BEFORE, "/v1/transfers")
    pass_time(till, clock)
    assert sorted(one["state"] for one in payouts(till)) == ["due", "sending"]


def test_a_worker_that_is_killed_anywhere_pays_once(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    clock.advance(HOLD)
    with till.session() as session:
        payout_id = session.exec(select(Payout.id)).one()
    assert (
        killed_everywhere(till.installation, lambda: send_payout(till.installation, payout_id)) > 10
    )
    assert the_payout(till)["state"] == "paid"
    assert till.balances() == AFTER
    assert len(till.double.all_of("transfer")) == 1


def test_without_a_processor_nothing_is_asked(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    clock.advance(HOLD)
    settings = msgspec.structs.replace(till.installation.settings, stripe_secret_key="")
    with till.session() as session:
        before = len(session.exec(select(Job)).all())
    release_due(replace(till.installation, settings=settings))
    assert the_payout(till)["state"] == "due"
    with till.session() as session:
        assert len(session.exec(select(Job)).all()) == before


def test_the_sweep_sends_what_its_own_job_could_not(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    with till.installation.market.begin() as connection:
        connection.execute(text("DELETE FROM job WHERE kind = 'payout.send'"))
    clock.advance(HOLD)
    till.worker.run_schedule_once()
    assert the_payout(till)["state"] == "due"
    till.work()
    assert the_payout(till)["state"] == "paid"
    till.worker.run_schedule_once()
    till.work()
    assert till.balances() == AFTER
