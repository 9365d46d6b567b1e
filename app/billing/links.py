"""Billing's part of the chain: invoice and lines, payment, payout, and what they posted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.audit.links import Link
from app.billing.invoices.models import Invoice, InvoicedRange, InvoiceLine
from app.billing.ledger.models import LedgerTransfer
from app.billing.payments.models import Payment
from app.billing.payouts.models import Payout
from app.kernel.ids import kind_of

KINDS = frozenset({"inv", "lin", "pay", "pyo", "trf"})


def contracts_of(session: Session, any_id: str) -> Sequence[str]:
    """The contracts that an invoice, line, payment, payout or transfer has to do with."""
    kind = kind_of(any_id)
    if kind == "lin":
        statement = select(InvoiceLine.contract_id).where(InvoiceLine.id == any_id)
        return session.exec(statement).all()
    if kind == "trf":
        cause = session.exec(
            select(LedgerTransfer.cause).where(LedgerTransfer.id == any_id)
        ).first()
        return contracts_of(session, cause.partition(":")[0]) if cause else []
    invoice_id = {
        "inv": select(Invoice.id).where(Invoice.id == any_id),
        "pay": select(Payment.invoice_id).where(Payment.id == any_id),
        "pyo": select(Payout.invoice_id).where(Payout.id == any_id),
    }.get(kind or "")
    if invoice_id is None:
        return []
    return session.exec(
        select(InvoicedRange.contract_id)
        .where(col(InvoicedRange.invoice_id).in_(invoice_id))
        .distinct()
        .order_by(InvoicedRange.contract_id)
    ).all()


def links_of(session: Session, contract_id: str) -> Iterator[Link]:
    """The rows of billing that belong to the contract, from invoice to payout."""
    invoices = session.exec(
        select(Invoice)
        .where(
            col(Invoice.id).in_(
                select(InvoicedRange.invoice_id).where(InvoicedRange.contract_id == contract_id)
            )
        )
        .order_by(col(Invoice.id))
    ).all()
    for invoice in invoices:
        yield _invoice_link(invoice)
        yield from _line_links(session, invoice.id, contract_id)
        causes = [invoice.id]
        for payment in session.exec(select(Payment).where(Payment.invoice_id == invoice.id)):
            causes.append(payment.id)
            facts = {"state": payment.state.value, "amount_minor": payment.amount_minor}
            yield Link(payment.id, "payment", {**facts, "invoice_id": invoice.id})
        for payout in session.exec(select(Payout).where(Payout.invoice_id == invoice.id)):
            causes.append(payout.id)
            facts = {"state": payout.state.value, "amount_minor": payout.amount_minor}
            yield Link(payout.id, "payout", {**facts, "payment_id": payout.payment_id})
        yield from _transfer_links(session, causes)


def _invoice_link(invoice: Invoice) -> Link:
    return Link(
        invoice.id,
        "invoice",
        {
            "number": invoice.number,
            "period": invoice.period,
            "state": invoice.state.value,
            "gross_minor": invoice.gross_minor,
            "currency": invoice.currency,
        },
    )


def _line_links(session: Session, invoice_id: str, contract_id: str) -> Iterator[Link]:
    lines = session.exec(
        select(InvoiceLine)
        .where(InvoiceLine.invoice_id == invoice_id, InvoiceLine.contract_id == contract_id)
        .order_by(col(InvoiceLine.position))
    )
    for line in lines:
        facts = {"invoice_id": invoice_id, "units": line.units, "amount_minor": line.amount_minor}
        numbers = {"first_number": line.first_number, "last_number": line.last_number}
        yield Link(line.id, "invoice line", {**facts, **numbers, "grant_id": line.grant_id})


def _transfer_links(session: Session, causes: Sequence[str]) -> Iterator[Link]:
    begins = [
        col(LedgerTransfer.cause).startswith(f"{cause}:", autoescape=True) for cause in causes
    ]
    transfers = session.exec(
        select(LedgerTransfer).where(sa.or_(*begins)).order_by(col(LedgerTransfer.id))
    )
    for transfer in transfers:
        yield Link(transfer.id, "transfer", {"cause": transfer.cause, "kind": transfer.kind.value})
