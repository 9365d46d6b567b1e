"""Settling: what the processor says of a payment becomes ours, once.

The processor's word is looked up, never taken from a webhook; a payment that is settled stays as it
is, whatever comes later and in whatever order.
"""

from __future__ import annotations

from sqlmodel import Session

from app.audit.recording import record
from app.billing.invoices.issuing import sale_of
from app.billing.invoices.models import Invoice
from app.billing.invoices.states import OPEN as OPEN_INVOICE
from app.billing.invoices.states import InvoiceState, check_move, state_when_paid
from app.billing.ledger.accounts import Processor
from app.billing.ledger.models import TransferKind
from app.billing.ledger.posting import post
from app.billing.ledger.posting_rules import payment_received, processor_fee
from app.billing.payments.models import Payment
from app.billing.payments.moving import move_payment
from app.billing.payments.processor import PaymentStanding
from app.billing.payments.processor import PaymentState as AtProcessor
from app.billing.payments.states import UNSETTLED, PaymentState
from app.billing.payouts.holding import freeze_payout, hold_share
from app.db.locks import get_or_refuse
from app.db.session import now
from app.kernel.money import Money


def settle_payment(session: Session, payment_id: str, standing: PaymentStanding) -> Payment:
    """Bring a payment to where the processor sees it; the payment as it is then."""
    invoice_id = get_or_refuse(session, Payment, payment_id).invoice_id
    invoice = get_or_refuse(session, Invoice, invoice_id, lock=True)
    payment = get_or_refuse(session, Payment, payment_id, lock=True)
    if payment.state in UNSETTLED:
        payment.payment_intent = standing.payment_intent
        payment.failure = standing.failure_code
        _follow(session, payment, invoice, standing)
    if payment.state is PaymentState.SUCCEEDED:
        _post_fee(session, payment, standing)
        _note_taken_back(session, payment, standing)
    session.flush()
    return payment


def close_unpaid(session: Session, payment_id: str, there: PaymentState, reason: str) -> None:
    """The page closed, or the money did not come: the payment fails or is cancelled."""
    payment = get_or_refuse(session, Payment, payment_id, lock=True)
    if payment.state in UNSETTLED:
        payment.failure = reason
        move_payment(session, payment, there, reason=reason)


def _follow(
    session: Session, payment: Payment, invoice: Invoice, standing: PaymentStanding
) -> None:
    match standing.state:
        case AtProcessor.OPEN | AtProcessor.PROCESSING:
            if payment.state is PaymentState.PENDING_UNKNOWN:
                move_payment(session, payment, PaymentState.PENDING)
        case AtProcessor.CANCELED:
            move_payment(session, payment, PaymentState.CANCELLED)
        case AtProcessor.SUCCEEDED:
            payment.charge = standing.charge
            if (differs := _mismatch(payment, invoice, standing)) is not None:
                payment.failure = differs
                move_payment(
                    session,
                    payment,
                    PaymentState.MISMATCH,
                    differs=differs,
                    received_minor=standing.received.minor,
                    received_currency=standing.received.currency,
                )
            else:
                _succeed(session, payment, invoice, standing)


def _mismatch(payment: Payment, invoice: Invoice, standing: PaymentStanding) -> str | None:
    """What is not as it was asked for; None when all of it is."""
    if standing.payment_id != payment.id:
        return "payment"
    if standing.received.currency != payment.currency:
        return "currency"
    if standing.received != payment.amount or standing.amount != payment.amount:
        return "amount"
    if standing.fee is not None and standing.fee.currency != payment.currency:
        return "fee-currency"
    if invoice.state not in OPEN_INVOICE or payment.amount_minor > invoice.owed.minor:
        return "not-owed"
    return None


def _succeed(
    session: Session, payment: Payment, invoice: Invoice, standing: PaymentStanding
) -> None:
    sale, before = sale_of(invoice), invoice.money(invoice.paid_minor)
    post(
        session,
        f"{payment.id}:paid",
        TransferKind.PAYMENT_RECEIVED,
        payment_received(sale, Processor.STRIPE, payment.amount, before),
        payment_id=payment.id,
        invoice_id=invoice.id,
        payment_intent=standing.payment_intent,
        charge=standing.charge,
        balance_transaction=standing.balance_transaction,
    )
    share = sale.part_of(before + payment.amount) - sale.part_of(before)
    move_payment(
        session,
        payment,
        PaymentState.SUCCEEDED,
        payment_intent=standing.payment_intent,
        charge=standing.charge,
        share_minor=share.minor,
    )
    _count_as_paid(session, invoice, payment.amount)
    hold_share(session, payment, share)


def _count_as_paid(session: Session, invoice: Invoice, paid: Money) -> None:
    invoice.paid_minor += paid.minor
    there = state_when_paid(invoice.state, invoice.paid_minor, invoice.gross_minor)
    if there is not invoice.state:
        check_move(invoice.state, there)
        invoice.state = there
    if there is InvoiceState.PAID:
        invoice.paid_at = now(session)
    session.flush()
    record(
        session,
        f"invoice:{'paid' if there is InvoiceState.PAID else 'partly_paid'}",
        invoice.id,
        organisations=(invoice.buyer_id, invoice.provider_id),
        paid_minor=invoice.paid_minor,
        gross_minor=invoice.gross_minor,
        state=there.value,
    )


def _post_fee(session: Session, payment: Payment, standing: PaymentStanding) -> None:
    """The processor tells its fee with the charge, or some time after."""
    if payment.fee_minor is not None or standing.fee is None:
        return
    if standing.fee.currency != payment.currency:
        _note_conversion(session, payment, standing)
        return
    payment.fee_minor = standing.fee.minor
    if standing.fee.minor == 0:
        return
    post(
        session,
        f"{payment.id}:fee",
        TransferKind.PROCESSOR_FEE,
        processor_fee(Processor.STRIPE, standing.fee),
        payment_id=payment.id,
        invoice_id=payment.invoice_id,
        balance_transaction=standing.balance_transaction,
    )


def _note_conversion(session: Session, payment: Payment, standing: PaymentStanding) -> None:
    """The processor holds other money than was paid: a person decides what the provider gets."""
    assert standing.fee is not None
    record(
        session,
        "payment:converted",
        payment.id,
        organisations=(payment.buyer_id, payment.provider_id),
        dedupe_key=f"payment:converted:{payment.id}",
        invoice_id=payment.invoice_id,
        held_currency=standing.fee.currency,
        balance_transaction=standing.balance_transaction,
    )
    freeze_payout(session, payment.id, "held in another currency")


def _note_taken_back(session: Session, payment: Payment, standing: PaymentStanding) -> None:
    """Money that is disputed or refunded is not paid out; what else follows, a person decides."""
    if (how := standing.taken_back) is None:
        return
    record(
        session,
        f"payment:{how.value}",
        payment.id,
        organisations=(payment.buyer_id, payment.provider_id),
        dedupe_key=f"payment:{how.value}:{payment.id}",
        invoice_id=payment.invoice_id,
        charge=standing.charge,
    )
    freeze_payout(session, payment.id, how.value)
