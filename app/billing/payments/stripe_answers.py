"""Stripe's answers, read once: its objects into our values, its errors into our three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import stripe
from stripe import StripeObject

from app.billing.payments.processor import (
    AccountStanding,
    BalanceEntry,
    Checkout,
    CheckoutState,
    KeyNotAccepted,
    PaymentStanding,
    PaymentState,
    ProcessorBusy,
    ProcessorRefused,
    ProcessorUnknown,
    RefundMade,
    TakenBack,
    TransferMade,
)
from app.kernel.money import Money, MoneyError, currency_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def errors_mapped() -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except stripe.StripeError as error:
        raise meaning_of(error) from error


def meaning_of(error: stripe.StripeError) -> ProcessorRefused | ProcessorUnknown | ProcessorBusy:
    """What an error of the SDK means for the request that it answered."""
    match error:
        case stripe.IdempotencyError():
            # The key was used for another request, which may well have happened.
            return ProcessorUnknown(_text(error), repeatable=False)
        case stripe.CardError():
            decline_code = error.error.decline_code if error.error else None
            detail = error.user_message or "The card was declined."
            return ProcessorRefused(detail, error.code, decline_code)
        case stripe.InvalidRequestError():
            return ProcessorRefused(_text(error), error.code)
        case stripe.AuthenticationError() | stripe.PermissionError():
            return KeyNotAccepted("The payment processor does not accept our API key.")
        case stripe.RateLimitError():
            return ProcessorBusy("The payment processor takes no more requests just now.")
        case _ if error.http_status == 409:
            return ProcessorBusy("The same request is at work at the payment processor.")
        case _:
            # No connection, no answer in time, 5xx, or an answer that makes no sense.
            return ProcessorUnknown(_text(error))


def moment(unix_s: int) -> datetime:
    """Stripe's Unix seconds as a moment."""
    return _EPOCH + timedelta(seconds=unix_s)


def whole_seconds(since: datetime, until: datetime) -> tuple[int, int]:
    """`[since, until)` widened to Stripe's whole seconds."""
    second = timedelta(seconds=1)
    return (since - _EPOCH) // second, -((_EPOCH - until) // second)


def read_checkout(session: stripe.checkout.Session) -> Checkout:
    """A checkout session."""
    return Checkout(
        session_id=session.id,
        state=checkout_state(session.status, session.payment_status),
        url=session.url,
        payment_intent=_id_of(session.payment_intent),
        payment_id=text_in(session.metadata, "payment_id"),
        amount=_money(session.amount_total or 0, session.currency or ""),
        expires_at=moment(session.expires_at),
    )


def checkout_state(status: str | None, payment_status: str) -> CheckoutState:
    """Our word for Stripe's two."""
    match status, payment_status:
        case "open", _:
            return CheckoutState.OPEN
        case "complete", "paid" | "no_payment_required":
            return CheckoutState.PAID
        case "complete", "unpaid":
            return CheckoutState.PROCESSING
        case "expired", _:
            return CheckoutState.EXPIRED
    raise ProcessorUnknown(f"unknown state of a checkout session: {status} {payment_status}")


def read_payment(intent: stripe.PaymentIntent) -> PaymentStanding:
    """A payment intent whose charge and balance transaction are expanded."""
    charge = intent.latest_charge
    entry = None if charge is None or isinstance(charge, str) else charge.balance_transaction
    booked = None if entry is None or isinstance(entry, str) else entry
    failure = intent.last_payment_error
    return PaymentStanding(
        payment_intent=intent.id,
        state=payment_state(intent.status),
        amount=_money(intent.amount, intent.currency),
        received=_money(intent.amount_received, intent.currency),
        payment_id=text_in(intent.metadata, "payment_id"),
        charge=_id_of(charge),
        fee=_money(booked.fee, booked.currency) if booked else None,
        balance_transaction=booked.id if booked else None,
        failure_code=failure.code if failure else None,
        created_at=moment(intent.created),
        taken_back=None if charge is None or isinstance(charge, str) else taken_back(charge),
    )


def taken_back(charge: stripe.Charge) -> TakenBack | None:
    """Whether the buyer's bank or we ourselves have taken a charge back."""
    if charge.disputed:
        return TakenBack.DISPUTED
    return TakenBack.REFUNDED if charge.amount_refunded else None


def payment_state(status: str) -> PaymentState:
    """Our word for Stripe's."""
    match status:
        case "requires_payment_method" | "requires_confirmation" | "requires_action":
            return PaymentState.OPEN
        case "processing" | "requires_capture":
            return PaymentState.PROCESSING
        case "succeeded":
            return PaymentState.SUCCEEDED
        case "canceled":
            return PaymentState.CANCELED
    raise ProcessorUnknown(f"unknown state of a payment intent: {status}")


def read_transfer(transfer: stripe.Transfer) -> TransferMade:
    """A transfer."""
    return TransferMade(
        transfer=transfer.id,
        amount=_money(transfer.amount, transfer.currency),
        balance_transaction=_id_of(transfer.balance_transaction),
        created_at=moment(transfer.created),
    )


def read_refund(refund: stripe.Refund) -> RefundMade:
    """A refund."""
    return RefundMade(
        refund=refund.id,
        amount=_money(refund.amount, refund.currency),
        status=refund.status or "pending",
        balance_transaction=_id_of(refund.balance_transaction),
    )


def read_account(account: stripe.Account) -> AccountStanding:
    """A connected account."""
    transfers = account.capabilities.transfers if account.capabilities else None
    return AccountStanding(
        account=account.id,
        may_receive=transfers == "active",
        pays_out=bool(account.payouts_enabled),
        details_submitted=bool(account.details_submitted),
    )


def read_balance_entry(entry: stripe.BalanceTransaction) -> BalanceEntry:
    """A balance transaction."""
    return BalanceEntry(
        balance_transaction=entry.id,
        kind=entry.type,
        source=_id_of(entry.source),
        amount=_money(entry.amount, entry.currency),
        fee=_money(entry.fee, entry.currency),
        net=_money(entry.net, entry.currency),
        created_at=moment(entry.created),
    )


def text_in(metadata: StripeObject | None, key: str) -> str | None:
    """A value of an object's metadata, or None."""
    value = None if metadata is None else metadata.to_dict().get(key)
    return value if isinstance(value, str) else None


def _money(minor: int, currency: str) -> Money:
    try:
        return Money(minor, currency_of(currency.upper()))
    except MoneyError as error:
        raise ProcessorUnknown(f"the processor answered in another currency: {error}") from error


def _id_of(thing: object) -> str | None:
    """The id of what may be expanded or not."""
    if thing is None or isinstance(thing, str):
        return thing
    return str(thing.id)  # type: ignore[attr-defined]  # a StripeObject that has one


def _text(error: stripe.StripeError) -> str:
    return str(error)[:500]
