"""Paying: a buyer begins to pay an invoice; a job will open the checkout page."""

from __future__ import annotations

from sqlmodel import Session, col, select

from app.audit.recording import record
from app.billing.errors import AmountNotOwed, PaymentOpen, StepRefused
from app.billing.invoices.models import Invoice
from app.billing.invoices.states import OPEN as OPEN_INVOICE
from app.billing.payments.models import Payment
from app.billing.payments.states import OPEN, PaymentState
from app.billing.payments.stripe_processor import processor_of
from app.billing.queries import access_invoice
from app.db.installation import installation_of
from app.db.session import actor_of, now
from app.jobs.queue import enqueue
from app.kernel.ids import new_id
from app.kernel.money import Money
from app.kernel.refusals import NotAllowed

START = "payment.start"


def begin_payment(session: Session, invoice_id: str, amount: Money | None = None) -> Payment:
    """Begin to pay what is owed on an invoice, or `amount` of it; a job asks the processor.

    Refuses when the invoice takes no money, when another payment of it is under way, and when
    there is no processor (`ProcessorNotConfigured`).
    """
    invoice = access_invoice(session, invoice_id, lock=True)
    if actor_of(session).organisation_id != invoice.buyer_id:
        raise NotAllowed("Only the buyer pays its invoice.")
    processor_of(installation_of(session).settings)
    if invoice.state not in OPEN_INVOICE:
        raise StepRefused(
            f"An invoice that is {invoice.state.value} takes no payment.",
            state=invoice.state.value,
        )
    _refuse_second(session, invoice)
    payment = Payment(
        id=new_id("pay"),
        invoice_id=invoice.id,
        buyer_id=invoice.buyer_id,
        provider_id=invoice.provider_id,
        amount_minor=_part_of(invoice, amount).minor,
        currency=invoice.currency,
        method="stripe",
        state=PaymentState.PENDING,
        created_at=now(session),
        attempt=1,
    )
    session.add(payment)
    session.flush()
    record(
        session,
        "payment:begun",
        payment.id,
        organisations=(payment.buyer_id, payment.provider_id),
        invoice_id=invoice.id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
    )
    enqueue(session, START, dedupe_key=f"{START}:{payment.id}", payment_id=payment.id)
    return payment


def _refuse_second(session: Session, invoice: Invoice) -> None:
    other = session.exec(
        select(Payment).where(Payment.invoice_id == invoice.id, col(Payment.state).in_(OPEN))
    ).first()
    if other is not None:
        raise PaymentOpen(
            "Another payment of this invoice is under way.",
            payment_id=other.id,
            state=other.state.value,
        )


def _part_of(invoice: Invoice, amount: Money | None) -> Money:
    if amount is None:
        return invoice.owed
    if amount.currency != invoice.currency or not 0 < amount.minor <= invoice.owed.minor:
        raise AmountNotOwed(
            "A payment is at most what is owed, in the invoice's currency.",
            owed_minor=invoice.owed.minor,
            currency=invoice.currency,
        )
    return amount
