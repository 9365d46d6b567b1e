"""Jobs that cross: two ask for one transfer, are told different things, and money moves once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.billing.payments.processor import (
    ProcessorRefused,
    ProcessorUnknown,
    TransferMade,
    TransferOrder,
)
from app.billing.payments.stripe_processor import StripeProcessor
from app.billing.payouts.sending import send_payout
from app.kernel.clock import SetClock
from tests.billing.till import Till

Transfer = Callable[[StripeProcessor, TransferOrder], TransferMade]
REAL: Transfer = StripeProcessor.transfer
REFUSED = ProcessorRefused("The account takes no transfers.", "insufficient_capabilities")


class Crossing:
    """Each request for a transfer is answered by the next of `answers`, which may run more jobs."""

    def __init__(self, till: Till, *answers: Transfer) -> None:
        self.till = till
        self.answers = list(answers)

    def transfer(self, processor: StripeProcessor, order: TransferOrder) -> TransferMade:
        return self.answers.pop(0)(processor, order)

    def send(self) -> None:
        send_payout(self.till.installation, the_payout(self.till)["id"])


def the_payout(till: Till) -> dict[str, Any]:
    (only,) = till.provider.get("/api/v1/payouts").json()["items"]
    return dict(only)


def retry(till: Till) -> None:
    path = f"/api/v1/payouts/{the_payout(till)['id']}/retry"
    assert till.provider.post(path).status_code == 200


def refuse(_processor: StripeProcessor, _order: TransferOrder) -> TransferMade:
    raise REFUSED


def stay_silent(_processor: StripeProcessor, _order: TransferOrder) -> TransferMade:
    raise ProcessorUnknown("no answer in time")


@pytest.fixture
def due(till: Till, clock: SetClock) -> Till:
    till.onboard()
    till.paid()
    clock.advance(timedelta(days=7))
    return till


def cross(monkeypatch: pytest.MonkeyPatch, crossing: Crossing) -> Crossing:
    def transfer(processor: StripeProcessor, order: TransferOrder) -> TransferMade:
        return crossing.transfer(processor, order)

    monkeypatch.setattr(StripeProcessor, "transfer", transfer)
    return crossing


def test_a_transfer_that_was_made_counts_though_the_other_job_was_refused(
    due: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_and_wait(processor: StripeProcessor, order: TransferOrder) -> TransferMade:
        made = REAL(processor, order)
        crossing.send()
        assert the_payout(due)["state"] == "failed"
        return made

    crossing = cross(monkeypatch, Crossing(due, make_and_wait, refuse))
    crossing.send()
    assert the_payout(due)["state"] == "paid"
    assert due.balances().get("payable:provider:available") is None


def test_another_attempt_finds_what_an_earlier_one_has_done_after_all(
    due: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_and_deny(processor: StripeProcessor, order: TransferOrder) -> TransferMade:
        REAL(processor, order)
        raise REFUSED

    crossing = cross(monkeypatch, Crossing(due, make_and_deny, REAL))
    crossing.send()
    assert the_payout(due)["state"] == "failed"
    retry(due)
    due.work()
    assert the_payout(due)["state"] == "paid"
    assert len(due.double.all_of("transfer")) == 1


def test_a_late_refusal_ends_no_attempt_but_its_own(
    due: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_late(processor: StripeProcessor, order: TransferOrder) -> TransferMade:
        crossing.send()
        retry(due)
        with pytest.raises(ProcessorUnknown):
            crossing.send()
        return refuse(processor, order)

    crossing = cross(monkeypatch, Crossing(due, be_late, refuse, stay_silent))
    crossing.send()
    payout = the_payout(due)
    assert (payout["state"], payout["attempt"]) == ("sending", 2)
