"""Webhooks: forged ones are refused, and no order or number of true ones does anything twice."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.billing.payments.models import Payment, WebhookReceived
from app.billing.payments.receiving import handle_event
from app.jobs.models import Job
from app.kernel.clock import SetClock, epoch_us
from app.sandbox.stripe_double.webhooks import SignedWebhook, sign_webhook
from tests.billing.killing import killed_everywhere
from tests.billing.till import SECRET, Till

PAID = {
    "processor:stripe:clearing": 103_00,
    "processor:fees": 3_00,
    "payable:provider:available": 98_50,
    "alliance:fees": 7_50,
}


def completed(till: Till) -> tuple[str, list[SignedWebhook]]:
    """A payment that the buyer has completed, and the webhooks that tell of it."""
    payment_id = till.pay(till.invoice())
    till.work()
    till.double.take_webhooks()
    till.complete(payment_id)
    return payment_id, till.double.take_webhooks()


def count(till: Till, table: str) -> int:
    with till.installation.market.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def signed(till: Till, secret: str = SECRET, **event: Any) -> SignedWebhook:
    at_s = epoch_us(till.installation.clock.now()) // 1_000_000
    whole = {
        "id": "evt_made_up",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": at_s,
        "livemode": False,
        "data": {"object": {"id": "pi_1", "metadata": {}}},
        **event,
    }
    return sign_webhook(json.dumps(whole).encode(), secret, at_s)


@pytest.mark.parametrize("what", ["no signature", "another secret", "one byte", "too old", "thin"])
def test_a_forged_webhook_is_refused_and_leaves_nothing(
    till: Till, clock: SetClock, what: str
) -> None:
    payment_id, webhooks = completed(till)
    webhook = webhooks[-1]
    body, signature = webhook.body, webhook.signature
    if what == "no signature":
        answer = till.send(body, None)
    elif what == "another secret":
        answer = till.send(body, signed(till, "whsec_stolen").signature)
    elif what == "one byte":
        answer = till.send(
            body.replace(b"succeeded", b"suc\x63eeded").replace(b"0", b"1", 1), signature
        )
    elif what == "too old":
        clock.advance(timedelta(seconds=301))
        answer = till.send(body, signature)
    else:
        thin = signed(till, object="v2.core.event")
        answer = till.send(thin.body, thin.signature)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:zhigu:problem:webhook-forged"
    till.work()
    assert count(till, "webhook_received") == 0
    assert till.payment(payment_id)["state"] == "pending"


def test_an_oversized_webhook_is_refused(till: Till) -> None:
    assert till.send(b"x" * 5_000_000, "t=1,v1=00").status_code == 413


def test_the_same_event_a_hundred_times_in_parallel_has_one_effect(till: Till) -> None:
    payment_id, webhooks = completed(till)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda one: till.send(one.body, one.signature), webhooks * (100 // len(webhooks))
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert count(till, "webhook_received") == len(webhooks)
    till.work()
    assert till.payment(payment_id)["state"] == "succeeded"
    assert till.balances() == PAID
    assert count(till, "payout") == 1


@pytest.mark.parametrize("newest_first", [True, False])
def test_events_in_any_order_lead_to_the_same_books(till: Till, newest_first: bool) -> None:
    payment_id, webhooks = completed(till)
    for webhook in reversed(webhooks) if newest_first else webhooks:
        till.deliver([webhook])
        till.work()
    assert till.payment(payment_id)["state"] == "succeeded"
    assert till.balances() == PAID
    assert till.leaves(payment_id) == ["payment:begun", "payment:succeeded"]


def test_a_settled_payment_never_goes_back(till: Till) -> None:
    payment_id, webhooks = completed(till)
    till.deliver(webhooks)
    till.work()
    with till.session() as session:
        intent = session.get_one(Payment, payment_id).payment_intent
    for number, kind in enumerate(("payment_intent.payment_failed", "payment_intent.canceled")):
        late = signed(
            till,
            id=f"evt_{number}",
            type=kind,
            data={"object": {"id": intent, "metadata": {"payment_id": payment_id}}},
        )
        till.deliver([late])
    till.work()
    assert till.payment(payment_id)["state"] == "succeeded"
    assert till.balances() == PAID


def test_an_event_that_comes_before_the_page_is_known_waits_for_it(
    till: Till, clock: SetClock
) -> None:
    payment_id, webhooks = completed(till)
    with till.installation.market.begin() as connection:
        # As if the worker was killed after it asked, before it wrote the answer.
        connection.execute(text("UPDATE payment SET checkout_session = NULL, checkout_url = NULL"))
        connection.execute(text("UPDATE job SET done_at = NULL WHERE kind = 'payment.start'"))
        connection.execute(
            text("UPDATE job SET due_at = :later WHERE kind = 'payment.start'"),
            {"later": later(till, clock)},
        )
    till.deliver(webhooks)
    till.work()
    assert till.payment(payment_id)["state"] == "pending"
    clock.advance(timedelta(seconds=30))
    till.work()
    clock.advance(timedelta(seconds=30))
    till.work()
    assert till.payment(payment_id)["state"] == "succeeded"
    assert len(till.double.all_of("checkout.session")) == 1


def later(till: Till, clock: SetClock) -> Any:
    moment = clock.now() + timedelta(seconds=20)
    sqlite = till.installation.market.dialect.name == "sqlite"
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if sqlite else moment


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"type": "invoice.created"}, "ignored"),
        ({"type": "payment_intent.succeeded"}, "unknown"),
        ({"type": "payment_intent.succeeded", "account": "acct_1"}, "ignored"),
        ({"type": "account.updated", "account": "acct_1"}, "unknown"),
        ({"data": {"object": {"id": "pi_1", "metadata": {"payment_id": "pay_x"}}}}, "unknown"),
        ({"data": {"object": {"id": 5, "metadata": "x" * 500}}}, "unknown"),
    ],
)  # fmt: skip
def test_events_about_nothing_of_ours_are_taken_and_change_nothing(
    till: Till, event: dict[str, Any], outcome: str
) -> None:
    till.deliver([signed(till, **event)])
    till.work()
    with till.session() as session:
        (row,) = session.exec(select(WebhookReceived)).all()
        assert row.outcome == outcome
        assert row.handled_at is not None
    assert till.balances() == {}


def test_an_event_of_the_other_mode_is_refused(till: Till) -> None:
    live = signed(till, livemode=True)
    assert till.send(live.body, live.signature).status_code == 400


@pytest.mark.parametrize(
    ("distortion", "differs"),
    [({"amount_received": 105_99}, "amount"), ({"currency": "usd"}, "currency")],
)
def test_what_was_not_asked_for_freezes_the_payment(
    till: Till, distortion: dict[str, Any], differs: str
) -> None:
    payment_id, webhooks = completed(till)
    invoice_id = till.payment(payment_id)["invoice_id"]
    (intent,) = till.double.all_of("payment_intent")
    till.double.distort(intent["id"], **distortion)
    before = till.balances()
    till.deliver(webhooks)
    till.work()
    payment = till.payment(payment_id)
    assert (payment["state"], payment["failure"]) == ("mismatch", differs)
    assert till.balances() == before
    assert till.leaves(payment_id) == ["payment:begun", "payment:mismatch"]
    assert count(till, "payout") == 0
    again = till.buyer.post(f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe"})
    assert again.status_code == 409
    # Frozen means frozen: the true amount later does not thaw it.
    till.double.distort(intent["id"], amount_received=106_00, currency="cny")
    till.deliver(
        [
            signed(
                till, data={"object": {"id": intent["id"], "metadata": {"payment_id": payment_id}}}
            )
        ]
    )
    till.work()
    assert till.payment(payment_id)["state"] == "mismatch"


def test_the_fee_may_come_after_the_payment(till: Till, clock: SetClock) -> None:
    payment_id, webhooks = completed(till)
    (charge,) = till.double.all_of("charge")
    entry = charge["balance_transaction"]
    till.double.distort(charge["id"], balance_transaction=None)
    till.deliver(webhooks)
    till.work()
    assert till.payment(payment_id)["state"] == "succeeded"
    assert till.balances()["processor:stripe:clearing"] == 106_00
    till.double.distort(charge["id"], balance_transaction=entry)
    clock.advance(timedelta(minutes=3))
    till.worker.run_schedule_once()
    till.work()
    assert till.balances() == PAID


def test_a_late_fee_in_another_currency_is_posted_nowhere_and_freezes_the_payout(
    till: Till, clock: SetClock
) -> None:
    payment_id, webhooks = completed(till)
    (charge,) = till.double.all_of("charge")
    entry = charge["balance_transaction"]
    till.double.distort(charge["id"], balance_transaction=None)
    till.deliver(webhooks)
    till.work()
    till.double.distort(entry, currency="usd")
    till.double.distort(charge["id"], balance_transaction=entry)
    clock.advance(timedelta(minutes=3))
    for _ in range(2):
        till.worker.run_schedule_once()
        till.work()
        clock.advance(timedelta(minutes=1))
    assert till.balances()["processor:stripe:clearing"] == 106_00
    assert "processor:fees" not in till.balances()
    assert till.leaves(payment_id)[-1:] == ["payment:converted"]
    (payout,) = till.provider.get("/api/v1/payouts").json()["items"]
    assert payout["state"] == "frozen"


def test_a_worker_that_is_killed_anywhere_settles_once(till: Till) -> None:
    payment_id, webhooks = completed(till)
    till.deliver(webhooks)
    with till.session() as session:
        events = session.exec(select(WebhookReceived.id).order_by(WebhookReceived.id)).all()

    def run() -> None:
        for event_id in events:
            handle_event(till.installation, event_id)

    assert killed_everywhere(till.installation, run) > 20
    assert till.payment(payment_id)["state"] == "succeeded"
    assert till.balances() == PAID
    assert till.leaves(payment_id) == ["payment:begun", "payment:succeeded"]
    assert count(till, "payout") == 1


def test_the_inbox_and_its_job_are_written_together(till: Till) -> None:
    _, webhooks = completed(till)
    till.deliver(webhooks)
    with till.session() as session:
        jobs = session.exec(select(Job).where(Job.kind == "stripe.event")).all()
        events = session.exec(select(WebhookReceived.id)).all()
    assert sorted(job.payload["event_id"] for job in jobs) == sorted(events)
