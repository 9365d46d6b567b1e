"""Starting: the job that opens a payment's checkout page, however often it has to ask.

The payment's row is the intent. The processor is asked under a key made of our own id, and its
answer is committed: whatever dies in between, the same request is repeated under the same key.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from app.billing.invoices.models import Invoice
from app.billing.payments.customers import customer_of
from app.billing.payments.models import Payment
from app.billing.payments.moving import move_payment
from app.billing.payments.paying import START
from app.billing.payments.processor import (
    Checkout,
    PaymentOrder,
    Processor,
    ProcessorRefused,
    ProcessorUnknown,
)
from app.billing.payments.states import UNSETTLED, PaymentState
from app.billing.payments.stripe_processor import processor_of
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import now
from app.kernel.actor import job_actor
from app.kernel.ids import PaymentId

# Stripe keeps a key for at least 24 hours: later, the same request might be executed again.
KEY_LIFE = timedelta(hours=23)
CLOCK_SLACK = timedelta(hours=1)
ACTOR = job_actor(START)


def start_payment(installation: Installation, payment_id: str) -> None:
    """Open the checkout page of a payment that has none.

    Raises the processor's outages: the job runs again. A refusal fails the payment.
    """
    processor = processor_of(installation.settings)
    with installation.transaction(ACTOR, writes=False) as session:
        payment = get_or_refuse(session, Payment, payment_id)
        invoice = session.get_one(Invoice, payment.invoice_id)
        moment = now(session)
    if payment.state not in UNSETTLED or payment.checkout_session is not None:
        return
    try:
        order = _order(installation, processor, payment, invoice)
        if moment >= payment.created_at + KEY_LIFE:
            checkout = _find(processor, order, payment.created_at, moment)
            checkout = checkout or _try_again(installation, processor, order)
        else:
            checkout = _ask(installation, processor, order, payment.created_at)
    except ProcessorRefused as refusal:
        _note_refusal(installation, payment_id, refusal)
        return
    except ProcessorUnknown:
        _note_silence(installation, payment_id)
        raise
    _note_checkout(installation, payment_id, checkout)


def _order(
    installation: Installation, processor: Processor, payment: Payment, invoice: Invoice
) -> PaymentOrder:
    """The same order every time: a repeated key must carry the same request."""
    name = str(invoice.parties["buyer"]["name"])
    return PaymentOrder(
        PaymentId(payment.id),
        payment.amount,
        customer_of(installation, processor, payment.buyer_id, name),
        f"Zhigu {invoice.number} {invoice.period}",
        payment.attempt,
    )


def _ask(
    installation: Installation, processor: Processor, order: PaymentOrder, since: datetime
) -> Checkout:
    base = installation.settings.public_url.rstrip("/")
    try:
        return processor.open_checkout(order, f"{base}/checkout/paid", f"{base}/checkout/cancelled")
    except ProcessorUnknown as silence:
        if silence.repeatable:
            raise
        found = _find(processor, order, since, installation.clock.now())
        if found is None:
            raise
        return found


def _find(
    processor: Processor, order: PaymentOrder, since: datetime, until: datetime
) -> Checkout | None:
    """The page that an earlier request has opened after all."""
    pages = processor.find_checkouts(order.customer, since - CLOCK_SLACK, until + CLOCK_SLACK)
    return next((page for page in pages if page.payment_id == order.payment_id), None)


def _try_again(installation: Installation, processor: Processor, order: PaymentOrder) -> Checkout:
    """A new attempt, once it is known that the processor has nothing of the earlier ones."""
    with installation.transaction(ACTOR) as session:
        payment = get_or_refuse(session, Payment, order.payment_id, lock=True)
        payment.attempt = order.attempt + 1
    again = PaymentOrder(
        order.payment_id, order.amount, order.customer, order.description, order.attempt + 1
    )
    return _ask(installation, processor, again, payment.created_at)


def _note_checkout(installation: Installation, payment_id: str, checkout: Checkout) -> None:
    with installation.transaction(ACTOR) as session:
        payment = get_or_refuse(session, Payment, payment_id, lock=True)
        if payment.state not in UNSETTLED:
            return
        payment.checkout_session = checkout.session_id
        payment.checkout_url = checkout.url
        payment.checkout_expires_at = checkout.expires_at
        if payment.state is PaymentState.PENDING_UNKNOWN:
            move_payment(session, payment, PaymentState.PENDING)


def _note_silence(installation: Installation, payment_id: str) -> None:
    with installation.transaction(ACTOR) as session:
        payment = get_or_refuse(session, Payment, payment_id, lock=True)
        if payment.state is PaymentState.PENDING:
            move_payment(session, payment, PaymentState.PENDING_UNKNOWN)


def _note_refusal(installation: Installation, payment_id: str, refusal: ProcessorRefused) -> None:
    with installation.transaction(ACTOR) as session:
        payment = get_or_refuse(session, Payment, payment_id, lock=True)
        # A page that another job has opened can be paid on: only the page itself ends it.
        if payment.state not in UNSETTLED or payment.checkout_session is not None:
            return
        payment.failure = refusal.detail[:500]
        move_payment(session, payment, PaymentState.FAILED, code=refusal.code)
