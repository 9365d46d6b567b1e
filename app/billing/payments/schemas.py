"""Shapes of payments in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from app.billing.payments.models import Payment
from app.http.examples import example_id, looks_like
from app.http.schemas import Body, MoneyView, View, money_view
from app.kernel.canonical import MAX_INTEGER
from app.kernel.money import Money, MoneyError, currency_of
from app.kernel.refusals import Malformed


class PartToPay(Body):
    """A part of what is owed."""

    amount_minor: Annotated[int, Meta(ge=1, le=MAX_INTEGER, examples=[5300])]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$", examples=["CNY"])]

    def money(self) -> Money:
        """The part as money; `Malformed` in a currency that is not traded."""
        try:
            return Money(self.amount_minor, currency_of(self.currency))
        except MoneyError as error:
            raise Malformed(f"Currency {self.currency} is not traded here.") from error


@looks_like(method="stripe")
class PayBody(Body):
    """How an invoice is to be paid; without `amount`, all that is owed."""

    method: Literal["stripe", "bank_transfer", "wallet"]
    amount: PartToPay | None = None


@looks_like(state="pending", sandbox=False)
class PaymentBegun(View):
    """A payment under way: poll `GET /payments/{id}` for its checkout page and its state."""

    payment_id: str
    state: str
    checkout_url: str | None
    sandbox: bool


@looks_like(id=example_id("pay"), state="pending", method="stripe", sandbox=False)
class PaymentView(View):
    """A payment. `checkout_url` is the buyer's, while there is something to do on the page.

    `sandbox` says that the processor is a double and no money moves.
    """

    id: str
    invoice_id: str
    buyer_id: str
    provider_id: str
    state: str
    method: str
    amount: MoneyView
    checkout_url: str | None
    checkout_expires_at: datetime | None
    created_at: datetime
    settled_at: datetime | None
    failure: str | None
    sandbox: bool


class WebhookTaken(View):
    """The event is in the inbox."""

    received: bool = True


def payment_begun(payment: Payment, *, sandbox: bool) -> PaymentBegun:
    """The view of a payment that has just begun."""
    return PaymentBegun(
        payment_id=payment.id,
        state=payment.state.value,
        checkout_url=payment.checkout_url,
        sandbox=sandbox,
    )


def payment_view(payment: Payment, *, to: str | None, sandbox: bool) -> PaymentView:
    """The view of a payment as the organisation `to` sees it."""
    return PaymentView(
        id=payment.id,
        invoice_id=payment.invoice_id,
        buyer_id=payment.buyer_id,
        provider_id=payment.provider_id,
        state=payment.state.value,
        method=payment.method,
        amount=money_view(payment.amount),
        checkout_url=payment.checkout_url if to == payment.buyer_id else None,
        checkout_expires_at=payment.checkout_expires_at,
        created_at=payment.created_at,
        settled_at=payment.settled_at,
        failure=payment.failure,
        sandbox=sandbox,
    )
