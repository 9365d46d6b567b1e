"""Faults happen once, where they were asked for, and do what their name says."""

from __future__ import annotations

import pytest
import stripe

from app.sandbox.stripe_double.faults import FaultKind
from app.sandbox.stripe_double.running import RunningDouble
from tests.sandbox.calling import control
from tests.sandbox.stripe_double.sales import Api

KEY = {"idempotency_key": "k"}
PAYMENT = {
    "amount": 500,
    "currency": "cny",
    "payment_method": "pm_card_visa",
    "confirm": True,
}


@pytest.mark.parametrize(
    ("kind", "error", "status", "executed"),
    [
        (FaultKind.CONFLICT, stripe.APIError, 409, False),
        (FaultKind.RATE_LIMIT, stripe.RateLimitError, 429, False),
        (FaultKind.ERROR_BEFORE, stripe.APIError, 500, False),
        (FaultKind.ERROR_AFTER, stripe.APIError, 500, True),
        (FaultKind.ERROR_KEPT, stripe.APIError, 500, True),
        (FaultKind.TIMEOUT_BEFORE, stripe.APIConnectionError, None, False),
        (FaultKind.TIMEOUT_AFTER, stripe.APIConnectionError, None, True),
    ],
)
def test_a_fault_shows_itself_and_the_same_request_then_charges_once(
    api: Api,
    double: RunningDouble,
    kind: FaultKind,
    error: type[stripe.StripeError],
    status: int | None,
    executed: bool,
) -> None:
    double.fail(kind, "/v1/payment_intents")
    with pytest.raises(error) as failed:
        api.payment_intents.create(PAYMENT, KEY)
    assert failed.value.http_status == status
    assert len(double.all_of("charge")) == int(executed)
    if kind is FaultKind.ERROR_KEPT:
        with pytest.raises(stripe.APIError):
            api.payment_intents.create(PAYMENT, KEY)
    else:
        assert api.payment_intents.create(PAYMENT, KEY).status == "succeeded"
    assert len(double.all_of("charge")) == 1


def test_a_fault_waits_for_its_method_and_path(api: Api, double: RunningDouble) -> None:
    double.fail(FaultKind.ERROR_BEFORE, "/v1/transfers")
    double.fail(FaultKind.RATE_LIMIT, "/v1/charges", method="GET", times=2)
    assert api.payment_intents.create(PAYMENT).status == "succeeded"
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            api.charges.list()
    assert len(api.charges.list().data) == 1
    waiting = control(double.url, "GET", "faults").json()
    assert [fault["kind"] for fault in waiting] == ["error_before"]
    control(double.url, "DELETE", "faults")
    assert control(double.url, "GET", "faults").json() == []


def test_a_fault_is_asked_for_over_http(api: Api, double: RunningDouble) -> None:
    fault = {"kind": "timeout_after", "path": "/v1/customers", "seconds": 0.01}
    assert control(double.url, "POST", "faults", fault).status == 200
    with pytest.raises(stripe.APIConnectionError):
        api.customers.create({})
    assert len(api.customers.list().data) == 1


@pytest.mark.parametrize("fault", [{}, {"kind": "x"}, {"kind": "slow", "colour": "red"}, [1]])
def test_a_fault_that_is_none_is_refused(double: RunningDouble, fault: object) -> None:
    assert control(double.url, "POST", "faults", fault).status == 400


def test_the_journal_observes_what_was_asked(api: Api, double: RunningDouble) -> None:
    api.payment_intents.create(PAYMENT, KEY)
    api.payment_intents.create(PAYMENT, KEY)
    asked = double.requests("/v1/payment_intents")
    assert [(entry["key"], entry["status"], entry["replayed"]) for entry in asked] == [
        ("k", 200, False),
        ("k", 200, True),
    ]
    assert asked[0]["form"]["amount"] == "500"
    assert control(double.url, "GET", "requests").json()[0]["form"]["confirm"] == "true"
