"""A buyer pays an invoice, from the request over the double's page to the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.billing.invoices.drawing import draw_invoices
from app.billing.invoices.models import Invoice
from app.billing.payments import following
from app.billing.payments.processor import ProcessorRefused
from app.billing.payments.starting import start_payment
from app.billing.payments.stripe_processor import StripeProcessor
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.sandbox.stripe_double.faults import FaultKind
from tests.billing.sales import contract_of, month_of
from tests.billing.till import Till
from tests.conftest import Api

SESSIONS = "/v1/checkout/sessions"


def state_of(till: Till, payment_id: str) -> str:
    return str(till.payment(payment_id)["state"])


def invoice_of(till: Till, invoice_id: str) -> dict[str, Any]:
    return dict(till.buyer.get(f"/api/v1/invoices/{invoice_id}").json())


def test_an_invoice_is_paid_through_the_processor_and_the_books_say_so(till: Till) -> None:
    invoice_id = till.invoice()
    answer = till.buyer.post(f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe"})
    assert answer.status_code == 202
    begun = answer.json()
    assert begun["state"] == "pending"
    assert begun["checkout_url"] is None
    assert begun["sandbox"] is True
    till.work()
    payment = till.payment(begun["payment_id"])
    assert payment["checkout_url"].startswith(till.double.url)
    assert payment["amount"] == {"amount_minor": 106_00, "currency": "CNY"}
    till.complete(payment["id"])
    till.deliver()
    till.work()
    assert state_of(till, payment["id"]) == "succeeded"
    assert till.payment(payment["id"])["checkout_url"] is None
    invoice = invoice_of(till, invoice_id)
    assert (invoice["state"], invoice["owed"]["amount_minor"]) == ("paid", 0)
    assert till.balances() == {
        "processor:stripe:clearing": 103_00,
        "processor:fees": 3_00,
        "payable:provider:available": 98_50,
        "alliance:fees": 7_50,
    }
    assert till.leaves(payment["id"]) == ["payment:begun", "payment:succeeded"]
    assert till.leaves(invoice_id) == ["invoice:issued", "invoice:paid"]


def test_the_provider_sees_the_payment_but_not_the_page_and_a_stranger_sees_nothing(
    till: Till,
) -> None:
    payment_id = till.pay(till.invoice())
    till.work()
    path = f"/api/v1/payments/{payment_id}"
    assert till.payment(payment_id)["checkout_url"] is not None
    seen = till.provider.get(path).json()
    assert (seen["state"], seen["checkout_url"]) == ("pending", None)
    assert till.auditor.get(path).status_code == 200
    stranger = till.api.as_client(new_id("org"), "billing:read")
    assert stranger.get(path).status_code == 404
    assert stranger.get("/api/v1/payments").json()["items"] == []
    assert [one["id"] for one in till.provider.get("/api/v1/payments").json()["items"]] == [
        payment_id
    ]


@pytest.mark.parametrize(
    ("who", "status"), [("provider", 403), ("auditor", 403), ("stranger", 404)]
)
def test_only_the_buyer_pays(till: Till, who: str, status: int) -> None:
    invoice_id = till.invoice()
    callers = {
        "provider": till.provider,
        "auditor": till.api.as_client(new_id("org"), "billing:write", roles=["auditor"]),
        "stranger": till.api.as_client(new_id("org"), "billing:write"),
    }
    answer = callers[who].post(f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe"})
    assert answer.status_code == status


def test_without_a_key_there_is_no_processor(installation: Installation, api: Api) -> None:
    buyer_id = new_id("org")
    with installation.transaction(OPERATOR) as session:
        (invoice_id,) = draw_invoices(session, [month_of(contract_of(buyer_id=buyer_id), 100)])
    buyer = api.as_client(buyer_id, "billing:write")
    answer = buyer.post(f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe"})
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:zhigu:problem:processor-not-configured"
    assert "retry-after" in answer.headers
    forged = api.anonymous().post("/webhooks/stripe", content=b"{}")
    assert forged.status_code == 503


def test_one_payment_of_an_invoice_is_under_way_at_a_time(till: Till) -> None:
    invoice_id = till.invoice()
    payment_id = till.pay(invoice_id)
    again = till.buyer.post(f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe"})
    assert again.status_code == 409
    assert again.json()["type"] == "urn:zhigu:problem:payment-open"
    assert again.json()["payment_id"] == payment_id


def test_a_paid_invoice_takes_no_payment(till: Till) -> None:
    payment_id = till.paid()
    invoice_id = till.payment(payment_id)["invoice_id"]
    again = till.buyer.post(f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe"})
    assert again.status_code == 409
    assert again.json()["state"] == "paid"


@pytest.mark.parametrize("method", ["bank_transfer", "wallet"])
def test_other_methods_are_not_offered_yet(till: Till, method: str) -> None:
    answer = till.buyer.post(f"/api/v1/invoices/{till.invoice()}/pay", json={"method": method})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:zhigu:problem:method-not-offered"


@pytest.mark.parametrize(
    ("amount", "status"),
    [
        ({"amount_minor": 106_01, "currency": "CNY"}, 422),
        ({"amount_minor": 53_00, "currency": "USD"}, 422),
        ({"amount_minor": 53_00, "currency": "XXX"}, 400),
        ({"amount_minor": 0, "currency": "CNY"}, 400),
        ({"amount_minor": -1, "currency": "CNY"}, 400),
    ],
)
def test_a_part_is_at_most_what_is_owed(till: Till, amount: dict[str, Any], status: int) -> None:
    answer = till.buyer.post(
        f"/api/v1/invoices/{till.invoice()}/pay", json={"method": "stripe", "amount": amount}
    )
    assert answer.status_code == status


def test_an_invoice_is_paid_in_parts_and_the_share_follows(till: Till) -> None:
    invoice_id = till.invoice()
    for minor, state, available in ((53_01, "partly_paid", 49_26), (52_99, "paid", 98_50)):
        amount = {"amount_minor": minor, "currency": "CNY"}
        payment_id = till.pay(invoice_id, amount=amount)
        till.work()
        till.complete(payment_id)
        till.deliver()
        till.work()
        assert invoice_of(till, invoice_id)["state"] == state
        assert till.balances()["payable:provider:available"] == available
    assert "receivable:buyer" not in till.balances()
    payouts = till.provider.get("/api/v1/payouts").json()["items"]
    assert sorted(one["amount"]["amount_minor"] for one in payouts) == [49_24, 49_26]


def test_a_declined_card_leaves_the_page_open_for_another(till: Till) -> None:
    payment_id = till.pay(till.invoice())
    till.work()
    till.complete(payment_id, decline="insufficient_funds")
    till.deliver()
    till.work()
    payment = till.payment(payment_id)
    assert (payment["state"], payment["failure"]) == ("pending", "card_declined")
    till.complete(payment_id)
    till.deliver()
    till.work()
    assert state_of(till, payment_id) == "succeeded"


def test_a_page_that_expires_cancels_its_payment_and_another_can_be_begun(
    till: Till, clock: SetClock
) -> None:
    invoice_id = till.invoice()
    payment_id = till.pay(invoice_id)
    till.work()
    clock.advance(timedelta(hours=25))
    till.worker.run_schedule_once()
    till.work()
    payment = till.payment(payment_id)
    assert (payment["state"], payment["failure"]) == ("cancelled", "checkout-expired")
    assert till.pay(invoice_id) != payment_id


def test_a_refused_request_fails_the_payment_and_another_can_be_begun(till: Till) -> None:
    invoice_id = till.invoice()
    payment_id = till.pay(invoice_id)
    with till.installation.market.begin() as connection:
        # An amount that Stripe does not take.
        connection.exec_driver_sql("UPDATE payment SET amount_minor = 10000000000")
    till.work()
    payment = till.payment(payment_id)
    assert payment["state"] == "failed"
    assert payment["failure"]
    assert till.pay(invoice_id) != payment_id


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.ERROR_BEFORE,
        FaultKind.ERROR_AFTER,
    ],
)
def test_when_nobody_answers_the_identical_request_is_repeated_under_the_same_key(
    till: Till, clock: SetClock, fault: FaultKind
) -> None:
    payment_id = till.pay(till.invoice())
    till.double.fail(fault, SESSIONS)
    till.work()
    assert state_of(till, payment_id) == "pending_unknown"
    assert till.payment(payment_id)["checkout_url"] is None
    clock.advance(timedelta(seconds=2))
    till.work()
    assert state_of(till, payment_id) == "pending"
    asked = till.double.requests(SESSIONS)
    assert len(asked) == 2
    assert asked[0]["key"] == asked[1]["key"] == f"{payment_id}:checkout:1"
    assert len({str(one["form"]) for one in asked}) == 1
    assert len(till.double.all_of("checkout.session")) == 1
    till.complete(payment_id)
    till.deliver()
    till.work()
    assert state_of(till, payment_id) == "succeeded"
    assert len(till.double.all_of("charge")) == 1


@pytest.mark.parametrize("fault", [FaultKind.RATE_LIMIT, FaultKind.CONFLICT])
def test_a_busy_processor_leaves_the_payment_pending(
    till: Till, clock: SetClock, fault: FaultKind
) -> None:
    payment_id = till.pay(till.invoice())
    till.double.fail(fault, SESSIONS)
    till.work()
    assert state_of(till, payment_id) == "pending"
    clock.advance(timedelta(seconds=2))
    till.work()
    assert till.payment(payment_id)["checkout_url"] is not None


def test_after_the_keys_life_it_is_looked_for_before_it_is_asked_for_again(
    till: Till, clock: SetClock
) -> None:
    payment_id = till.pay(till.invoice())
    till.double.fail(FaultKind.ERROR_AFTER, SESSIONS)
    till.work()
    clock.advance(timedelta(hours=23, minutes=30))
    till.work()
    assert till.payment(payment_id)["checkout_url"] is not None
    assert len(till.double.requests(SESSIONS)) == 1
    assert len(till.double.all_of("checkout.session")) == 1


def test_after_the_keys_life_what_never_happened_is_a_new_attempt(
    till: Till, clock: SetClock
) -> None:
    payment_id = till.pay(till.invoice())
    till.double.fail(FaultKind.ERROR_BEFORE, SESSIONS)
    till.work()
    clock.advance(timedelta(hours=23, minutes=30))
    till.work()
    keys = [one["key"] for one in till.double.requests(SESSIONS)]
    assert keys == [f"{payment_id}:checkout:1", f"{payment_id}:checkout:2"]
    assert len(till.double.all_of("checkout.session")) == 1
    assert state_of(till, payment_id) == "pending"


def test_an_error_that_the_key_keeps_is_looked_behind(till: Till, clock: SetClock) -> None:
    payment_id = till.pay(till.invoice())
    till.double.fail(FaultKind.ERROR_KEPT, SESSIONS)
    till.work()
    for _ in range(3):
        clock.advance(timedelta(minutes=10))
        till.work()
    assert len(till.double.all_of("checkout.session")) == 1
    clock.advance(timedelta(hours=23))
    till.work()
    assert len(till.double.all_of("checkout.session")) == 1
    assert state_of(till, payment_id) in ("pending", "cancelled")


def test_a_payment_without_webhooks_is_found_by_the_sweep(till: Till, clock: SetClock) -> None:
    payment_id = till.pay(till.invoice())
    till.work()
    till.complete(payment_id)
    till.double.take_webhooks()  # lost
    clock.advance(timedelta(minutes=3))
    till.worker.run_schedule_once()
    till.work()
    assert state_of(till, payment_id) == "succeeded"


def test_a_page_that_is_open_is_not_ended_by_a_job_that_was_refused(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs ask for one page: the buyer could pay on it, and once more for the invoice."""
    real, asked = StripeProcessor.open_checkout, [0]

    def open_checkout(processor: StripeProcessor, *order: Any) -> Any:
        asked[0] += 1
        if asked[0] == 1:
            start_payment(till.installation, payment_id)
            raise ProcessorRefused("No such customer.", "resource_missing")
        return real(processor, *order)

    monkeypatch.setattr(StripeProcessor, "open_checkout", open_checkout)
    payment_id = till.pay(till.invoice())
    till.work()
    assert state_of(till, payment_id) == "pending"
    till.complete(payment_id)
    till.deliver()
    till.work()
    assert state_of(till, payment_id) == "succeeded"


def test_no_payment_waits_for_the_sweep_behind_pages_that_stay_open(
    till: Till, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "AT_ONCE", 1)
    till.pay(till.invoice())
    payment_id = till.pay(till.invoice())
    till.work()
    till.complete(payment_id)
    till.double.take_webhooks()  # lost
    clock.advance(timedelta(minutes=3))
    for _ in range(2):
        till.worker.run_schedule_once()
        till.work()
        clock.advance(timedelta(minutes=1))
    assert state_of(till, payment_id) == "succeeded"


def test_an_invoice_that_is_not_paid_by_its_day_is_overdue_and_can_still_be_paid(
    till: Till, clock: SetClock
) -> None:
    invoice_id = till.invoice()
    clock.advance(timedelta(days=15, seconds=-1))
    till.worker.run_schedule_once()
    assert invoice_of(till, invoice_id)["state"] == "issued"
    clock.advance(timedelta(seconds=1))
    till.worker.run_schedule_once()
    assert invoice_of(till, invoice_id)["state"] == "overdue"
    assert till.leaves(invoice_id) == ["invoice:issued", "invoice:overdue"]
    payment_id = till.pay(invoice_id)
    till.work()
    till.complete(payment_id)
    till.deliver()
    till.work()
    with till.session() as session:
        assert session.get_one(Invoice, invoice_id).state.value == "paid"


def test_people_who_come_back_from_the_page_are_told_so(till: Till) -> None:
    for page in ("paid", "cancelled", "onboarded", "link-expired"):
        answer = till.api.anonymous().get(f"/checkout/{page}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
    assert till.api.anonymous().get("/checkout/elsewhere").status_code == 404
