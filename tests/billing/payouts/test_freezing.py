"""Money that was taken back is not paid out: a dispute or a refund freezes the provider's share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.billing.payments.stripe_processor import processor_of
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.kernel.money import CNY, Money
from tests.billing.till import Till
from tests.conftest import Caller

HOLD = timedelta(days=7)


def charge_of(till: Till) -> str:
    """The first charge that was made."""
    return str(till.double.all_of("charge")[0]["id"])


def take_back(till: Till, how: str) -> None:
    if how == "disputed":
        till.double.open_dispute(charge_of(till))
    else:
        processor = processor_of(till.installation.settings)
        processor.refund("refund-by-hand", charge_of(till), Money(1, CNY))


def the_payout(till: Till) -> dict[str, Any]:
    """The oldest payout."""
    return dict(till.provider.get("/api/v1/payouts").json()["items"][-1])


def retry(caller: Caller, till: Till) -> Any:
    return caller.post(f"/api/v1/payouts/{the_payout(till)['id']}/retry")


def pass_time(till: Till, clock: SetClock) -> None:
    clock.advance(HOLD)
    till.work()


@pytest.mark.parametrize("how", ["disputed", "refunded"])
def test_its_webhook_freezes_what_is_held(till: Till, clock: SetClock, how: str) -> None:
    till.onboard()
    payment_id = till.paid()
    take_back(till, how)
    webhooks = till.double.take_webhooks()
    for _ in range(2):
        till.deliver(webhooks)
        till.work()
    payout = the_payout(till)
    assert payout["state"] == "frozen"
    assert how in payout["failure"]
    assert till.leaves(payment_id).count(f"payment:{how}") == 1
    pass_time(till, clock)
    assert the_payout(till)["state"] == "frozen"
    assert till.double.requests("/v1/transfers") == []


@pytest.mark.parametrize("how", ["disputed", "refunded"])
def test_without_its_webhook_it_is_seen_before_anything_is_sent(
    till: Till, clock: SetClock, how: str
) -> None:
    till.onboard()
    till.paid()
    take_back(till, how)
    pass_time(till, clock)
    assert the_payout(till)["state"] == "frozen"
    assert till.double.requests("/v1/transfers") == []
    assert till.balances()["payable:provider:available"] == 98_50


def test_only_an_admin_lets_a_frozen_payout_go(till: Till, clock: SetClock) -> None:
    till.onboard()
    till.paid()
    till.double.open_dispute(charge_of(till))
    till.paid()  # Stripe keeps a fee of 15.00 for the dispute: other money bears it
    pass_time(till, clock)
    assert retry(till.provider, till).status_code == 403
    assert retry(till.buyer, till).status_code == 404
    admin = till.api.as_client(
        new_id("org"), "admin", "billing:read", "billing:write", roles=["admin"]
    )
    (dispute,) = till.double.all_of("dispute")
    till.double.close_dispute(dispute["id"], "won")
    assert retry(admin, till).json()["state"] == "due"
    till.deliver()
    till.work()
    assert the_payout(till)["state"] == "paid"
    assert len(till.double.all_of("transfer")) == 1


def test_what_has_been_sent_stays_sent_and_the_log_tells_of_the_dispute(
    till: Till, clock: SetClock
) -> None:
    till.onboard()
    payment_id = till.paid()
    pass_time(till, clock)
    assert the_payout(till)["state"] == "paid"
    till.double.open_dispute(charge_of(till))
    till.deliver()
    till.work()
    assert the_payout(till)["state"] == "paid"
    assert till.leaves(payment_id)[-1] == "payment:disputed"
