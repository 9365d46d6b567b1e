"""Every word and every error of Stripe's has one meaning here, and a new one is noticed."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
import stripe
from stripe import _error as sdk_errors
from stripe.checkout import Session

from app.billing.payments.processor import (
    CheckoutState,
    KeyNotAccepted,
    PaymentState,
    ProcessorBusy,
    ProcessorRefused,
    ProcessorUnknown,
)
from app.billing.payments.stripe_answers import (
    checkout_state,
    meaning_of,
    moment,
    payment_state,
    read_balance_entry,
    whole_seconds,
)

MEANINGS: dict[type[stripe.StripeError], type[Exception]] = {
    stripe.APIConnectionError: ProcessorUnknown,
    stripe.APIError: ProcessorUnknown,
    stripe.AuthenticationError: KeyNotAccepted,
    stripe.CardError: ProcessorRefused,
    stripe.IdempotencyError: ProcessorUnknown,
    stripe.InvalidRequestError: ProcessorRefused,
    stripe.PermissionError: KeyNotAccepted,
    stripe.RateLimitError: ProcessorBusy,
}


def errors_of_the_sdk() -> list[type[stripe.StripeError]]:
    return [
        kind
        for _, kind in inspect.getmembers(sdk_errors, inspect.isclass)
        if issubclass(kind, stripe.StripeError)
    ]


def made(kind: type[stripe.StripeError], **more: Any) -> stripe.StripeError:
    needed = inspect.signature(kind).parameters
    given = {name: "x" for name in ("message", "param", "code", "sig_header") if name in needed}
    return kind(**given, **more)  # type: ignore[arg-type]  # by each error's own signature


@pytest.mark.parametrize("kind", errors_of_the_sdk(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_has_one_meaning(kind: type[stripe.StripeError]) -> None:
    # What is not in the table belongs to calls that we never make: nothing is known then.
    assert type(meaning_of(made(kind))) is MEANINGS.get(kind, ProcessorUnknown)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (409, ProcessorBusy),
        (500, ProcessorUnknown),
        (503, ProcessorUnknown),
        (200, ProcessorUnknown),
    ],
)
def test_an_api_error_means_what_its_status_says(status: int, meaning: type[Exception]) -> None:
    assert type(meaning_of(made(stripe.APIError, http_status=status))) is meaning


def test_a_busy_key_is_not_mistaken_for_a_refusal() -> None:
    assert issubclass(KeyNotAccepted, ProcessorBusy)
    assert not issubclass(ProcessorUnknown, ProcessorBusy | ProcessorRefused)


def literals(hint: Any) -> set[str]:
    found = {arg for arg in get_args(hint) if isinstance(arg, str)}
    return found.union(*(literals(arg) for arg in get_args(hint) if not isinstance(arg, str)))


def test_every_state_of_a_payment_intent_is_known() -> None:
    states = literals(stripe.PaymentIntent.__annotations__["status"])
    assert {state: payment_state(state) for state in states} == {
        "canceled": PaymentState.CANCELED,
        "processing": PaymentState.PROCESSING,
        "requires_action": PaymentState.OPEN,
        "requires_capture": PaymentState.PROCESSING,
        "requires_confirmation": PaymentState.OPEN,
        "requires_payment_method": PaymentState.OPEN,
        "succeeded": PaymentState.SUCCEEDED,
    }
    with pytest.raises(ProcessorUnknown):
        payment_state("requires_a_miracle")


def test_every_state_of_a_checkout_session_is_known() -> None:
    for status in literals(Session.__annotations__["status"]):
        for payment in literals(Session.__annotations__["payment_status"]):
            state = checkout_state(status, payment)
            if status != "complete":
                assert state == CheckoutState(status)
            else:
                assert state is (
                    CheckoutState.PROCESSING if payment == "unpaid" else CheckoutState.PAID
                )
    with pytest.raises(ProcessorUnknown):
        checkout_state("complete", "maybe")


def test_a_currency_that_is_not_traded_is_unknown() -> None:
    entry = stripe.BalanceTransaction.construct_from(
        {
            "id": "txn_1",
            "type": "charge",
            "source": "ch_1",
            "amount": 1,
            "fee": 0,
            "net": 1,
            "currency": "xxx",
            "created": 0,
        },
        "sk_test_x",
    )
    with pytest.raises(ProcessorUnknown):
        read_balance_entry(entry)


def test_a_window_is_widened_to_whole_seconds() -> None:
    start = datetime(2026, 11, 2, 1, 0, 0, tzinfo=UTC)
    first, end = whole_seconds(start + timedelta(microseconds=1), start + timedelta(seconds=1.5))
    assert (moment(first), moment(end)) == (start, start + timedelta(seconds=2))
    assert whole_seconds(start, start) == (first, first)
