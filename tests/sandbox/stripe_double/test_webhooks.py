"""Webhooks are signed, come at least once, and can be disturbed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import RunningDouble, running_double
from tests.sandbox.calling import control
from tests.sandbox.stripe_double.conftest import client_of
from tests.sandbox.stripe_double.receiving import SECRET, Receiver, receiving
from tests.sandbox.stripe_double.sales import Api, charged, connected, paid

PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def double(receiver: Receiver, clock: SetClock) -> Iterator[RunningDouble]:
    options = DoubleOptions(receiver.url, SECRET, clock=clock, retry_delays_s=(0.05, 0.05, 0.05))
    with running_double(options) as running:
        yield running


def test_what_happened_is_told_in_order_and_signed(api: Api, receiver: Receiver) -> None:
    intent = paid(api)
    events = receiver.wait_for(3)
    assert receiver.kinds() == PAID
    assert [event["data"]["object"]["object"] for event in events] == [
        "payment_intent",
        "charge",
        "payment_intent",
    ]
    assert events[0]["data"]["object"]["status"] == "requires_payment_method"
    assert events[2]["data"]["object"]["id"] == intent.id
    assert api.events.retrieve(events[2]["id"]).type == "payment_intent.succeeded"


def test_an_event_names_the_request_that_caused_it(api: Api, receiver: Receiver) -> None:
    customer = api.customers.create({}, {"idempotency_key": "org_1:customer"})
    (event,) = receiver.wait_for(1)
    request_id = customer.last_response.headers["Request-Id"]
    assert event["request"] == {"id": request_id, "idempotency_key": "org_1:customer"}


def test_a_delivery_that_is_not_taken_is_repeated(api: Api, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    api.customers.create({})
    events = receiver.wait_for(3)
    assert len({event["id"] for event in events}) == 1


def test_attempts_are_bounded(api: Api, receiver: Receiver, double: RunningDouble) -> None:
    receiver.statuses = [500] * 4
    api.customers.create({})
    receiver.wait_for(4)
    api.customers.create({})
    events = receiver.wait_for(5)
    assert len({event["id"] for event in events}) == 2
    log = control(double.url, "GET", "deliveries").json()
    assert [attempt["status"] for attempt in log[:4]] == [500] * 4


def test_a_failing_event_does_not_keep_others_back(api: Api, receiver: Receiver) -> None:
    receiver.statuses = [500]
    api.customers.create({})
    api.customers.create({})
    assert len({event["id"] for event in receiver.wait_for(3)}) == 2


def test_webhooks_are_held_and_released_in_reverse(
    api: Api, receiver: Receiver, double: RunningDouble
) -> None:
    assert control(double.url, "POST", "webhooks", {"do": "hold"}).status == 200
    paid(api)
    waiting = control(double.url, "POST", "webhooks", {"do": "hold"}).json()
    assert (waiting, receiver.events) == ({"waiting": 3}, [])
    control(double.url, "POST", "webhooks", {"do": "release", "newest_first": True})
    receiver.wait_for(3)
    assert receiver.kinds() == PAID[::-1]


def test_webhooks_are_duplicated(api: Api, receiver: Receiver, double: RunningDouble) -> None:
    control(double.url, "POST", "webhooks", {"do": "duplicate", "copies": 3, "events": 1})
    paid(api)
    receiver.wait_for(5)
    assert receiver.kinds() == PAID[:1] * 3 + PAID[1:]


def test_an_event_is_sent_again_on_demand(
    api: Api, receiver: Receiver, double: RunningDouble
) -> None:
    api.customers.create({})
    (event,) = receiver.wait_for(1)
    assert control(double.url, "POST", f"events/{event['id']}/resend").status == 200
    assert receiver.wait_for(2)[1]["id"] == event["id"]
    assert control(double.url, "POST", "events/evt_0/resend").status == 400


def test_each_change_tells_its_event(api: Api, receiver: Receiver, double: RunningDouble) -> None:
    account = connected(api, double).id
    charge = charged(api)
    api.refunds.create({"charge": charge.id, "amount": 1})
    transfer = api.transfers.create({"amount": 9, "currency": "cny", "destination": account})
    payout = api.payouts.create({"amount": 9, "currency": "cny"}, {"stripe_account": account})
    double.settle_payout(payout.id, "paid")
    charged(api)
    control(double.url, "POST", "disputes", {"charge": charge.id})
    dispute = double.all_of("dispute")[0]["id"]
    control(double.url, "POST", f"disputes/{dispute}/close", {"outcome": "won"})
    events = receiver.wait_for(16)
    kinds = set(receiver.kinds())
    assert kinds == {
        *PAID,
        "account.updated",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.refunded",
        "payout.created",
        "payout.paid",
        "refund.created",
        "transfer.created",
    }
    accounts = {event["type"]: event.get("account") for event in events}
    assert {kind for kind, owner in accounts.items() if owner == account} == {
        "account.updated",
        "payout.created",
        "payout.paid",
    }
    assert transfer.id in {event["data"]["object"]["id"] for event in events}


def test_without_a_url_webhooks_wait_until_they_are_taken(clock: SetClock) -> None:
    with running_double(DoubleOptions(webhook_secret=SECRET, clock=clock)) as double:
        paid(client_of(double).v1)
        taken = double.take_webhooks()
        assert double.take_webhooks() == []
    assert len(taken) == 3
    for webhook in taken:
        stripe.WebhookSignature.verify_header(webhook.body, webhook.signature, SECRET, None)
        assert webhook.signature.startswith(f"t={int(clock.now().timestamp())},v1=")


@pytest.mark.parametrize("given", [{}, {"do": "dance"}])
def test_a_control_that_is_none_is_refused(double: RunningDouble, given: object) -> None:
    assert control(double.url, "POST", "webhooks", given).status == 400
