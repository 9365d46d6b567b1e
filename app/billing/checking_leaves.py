"""Does money say what the log says of it? Invariant A1, read-only; names each row that breaks it.

Drafts are nobody's business yet: an invoice is told of when it is issued.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlmodel import Session, col, select

from app.audit.told import Tale, lost_rows, with_tales
from app.billing.invoices.models import Invoice
from app.billing.invoices.states import InvoiceState
from app.billing.ledger.models import LedgerTransfer
from app.billing.ledger.posting import postings_of, told_posting
from app.billing.models import PeriodClosing
from app.billing.payments.models import Payment
from app.billing.payments.moving import SETTLED
from app.billing.payments.states import PaymentState
from app.billing.payouts.models import Payout, PayoutAccount
from app.billing.payouts.states import PayoutState

INVOICE_LEAVES = tuple(f"invoice:{state.value}" for state in InvoiceState)
PAYMENT_LEAVES = ("payment:begun", *(f"payment:{state.value}" for state in PaymentState))
PAYOUT_LEAVES = tuple(f"payout:{state.value}" for state in PayoutState)


def problems(session: Session) -> Iterator[str]:
    """Rows of money that the log does not tell of, or tells otherwise of."""
    yield from _transfer_problems(session)
    yield from _invoice_problems(session)
    yield from _payment_problems(session)
    yield from _payout_problems(session)
    yield from _account_problems(session)
    yield from _closing_problems(session)
    yield from lost_rows(session, "transfer:posted", LedgerTransfer.id)
    yield from lost_rows(session, "invoice:issued", Invoice.id)
    yield from lost_rows(session, "payment:begun", Payment.id)
    yield from lost_rows(session, "payout:held", Payout.id)


def _transfer_problems(session: Session) -> Iterator[str]:
    rows = select(LedgerTransfer).order_by(col(LedgerTransfer.id))
    for transfer, tale in with_tales(session, rows, ["transfer:posted"], lambda row: row.id):
        name = f"transfer {transfer.id}"
        if not tale.has(
            "transfer:posted",
            transfer.posted_at,
            cause=transfer.cause,
            transfer_kind=transfer.kind.value,
        ):
            yield f"A1: {name} was posted without a leaf"
            continue
        said = [told_posting(posting) for posting in postings_of(session, transfer.id)]
        if not tale.has("transfer:posted", transfer.posted_at, postings=said):
            yield f"A1: the postings of {name} are not those that its leaf tells of"


def _invoice_problems(session: Session) -> Iterator[str]:
    rows = select(Invoice).where(Invoice.state != InvoiceState.DRAFT).order_by(col(Invoice.id))
    for invoice, tale in with_tales(session, rows, INVOICE_LEAVES, lambda row: row.id):
        name = f"invoice {invoice.id}"
        if not tale.has(
            "invoice:issued",
            invoice.issued_at,
            number=invoice.number,
            content_sha256=invoice.content_sha256,
            gross_minor=invoice.gross_minor,
        ):
            yield f"A1: {name} was issued without a leaf"
            continue
        state, paid_at = _standing(tale)
        if invoice.state.value != state:
            yield f"A1: {name} is {invoice.state.value}, the log says {state}"
        elif invoice.paid_at != paid_at:
            yield f"A1: {name} was not paid when the log says"


def _standing(tale: Tale) -> tuple[str, Any]:
    """The state that the last leaf tells, and when the invoice was paid in full."""
    last = tale.last()
    assert last is not None, "its issue was told"
    # A part that is paid late leaves an invoice overdue, as the leaf's own facts say.
    state = last.facts.get("state", last.kind.partition(":")[2])
    return state, last.at if state == InvoiceState.PAID.value else None


def _payment_problems(session: Session) -> Iterator[str]:
    rows = select(Payment).order_by(col(Payment.id))
    for payment, tale in with_tales(session, rows, PAYMENT_LEAVES, lambda row: row.id):
        name = f"payment {payment.id}"
        order = {
            "invoice_id": payment.invoice_id,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
        }
        if not tale.has("payment:begun", payment.created_at, **order):
            yield f"A1: {name} was begun without a leaf"
            continue
        last = tale.last()
        assert last is not None, "its beginning was told"
        said = "pending" if last.kind == "payment:begun" else last.kind.partition(":")[2]
        settled_at = last.at if payment.state in SETTLED else None
        if payment.state.value != said:
            yield f"A1: {name} is {payment.state.value}, the log says {said}"
        elif payment.settled_at != settled_at or not tale.has(last.kind, last.at, **order):
            yield f"A1: {name} did not settle as the log says"


def _payout_problems(session: Session) -> Iterator[str]:
    rows = select(Payout).order_by(col(Payout.id))
    for payout, tale in with_tales(session, rows, PAYOUT_LEAVES, lambda row: row.id):
        name = f"payout {payout.id}"
        if not tale.has(
            "payout:held",
            payout.created_at,
            payment_id=payout.payment_id,
            amount_minor=payout.amount_minor,
            currency=payout.currency,
        ):
            yield f"A1: {name} was promised without a leaf"
            continue
        last = tale.last()
        assert last is not None, "its beginning was told"
        said = last.kind.partition(":")[2]
        paid_at = last.at if payout.state is PayoutState.PAID else None
        if payout.state.value != said:
            yield f"A1: {name} is {payout.state.value}, the log says {said}"
        elif payout.paid_at != paid_at or payout.attempt != last.facts["attempt"]:
            yield f"A1: {name} was not sent as the log says"


def _account_problems(session: Session) -> Iterator[str]:
    """Where money goes to may not change behind the log's back."""
    rows = select(PayoutAccount).order_by(col(PayoutAccount.organisation_id))
    kinds = ("payout_account:requested", "payout_account:changed")
    for account, tale in with_tales(session, rows, kinds, lambda row: row.organisation_id):
        name = f"the payout account of {account.organisation_id}"
        if not tale.has("payout_account:requested", account.requested_at):
            yield f"A1: {name} was asked for without a leaf"
            continue
        changed = tale.last("payout_account:changed")
        said = None if changed is None else dict(changed.facts)
        seen = {
            "account": account.account,
            "may_receive": account.may_receive,
            "pays_out": account.pays_out,
            "details_submitted": account.details_submitted,
        }
        if said != (None if account.account is None else seen):
            yield f"A1: {name} is not what its last leaf says"


def _closing_problems(session: Session) -> Iterator[str]:
    rows = select(PeriodClosing).order_by(col(PeriodClosing.period))
    kinds = ("period:close_requested", "period:closed")
    for closing, tale in with_tales(session, rows, kinds, lambda row: row.period):
        if not any(tale.has(kind, closing.requested_at) for kind in kinds):
            yield f"A1: {closing.period} was asked to be closed without a leaf"
        elif closing.closed_at is not None and not tale.has("period:closed", closing.closed_at):
            yield f"A1: {closing.period} was closed without a leaf"
