"""Issuing: a draft gets the issuer's next number, is posted to the ledger, and is frozen."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from app.audit.recording import record
from app.billing.invoices.contents import content_hash
from app.billing.invoices.models import Invoice, InvoiceLine, InvoiceSeries
from app.billing.invoices.states import InvoiceState, check_move
from app.billing.ledger.models import TransferKind
from app.billing.ledger.posting import post
from app.billing.ledger.posting_rules import Sale, invoice_issued
from app.db.engine import is_sqlite
from app.db.installation import installation_of
from app.db.session import now
from app.kernel.clock import local_day


def lock_series(session: Session, provider_id: str) -> InvoiceSeries:
    """The issuer's series of this year, locked until the transaction ends."""
    year = local_day(now(session)).year
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    session.execute(
        insert(InvoiceSeries)
        .values(provider_id=provider_id, year=year, last_seq=0)
        .on_conflict_do_nothing()
    )
    return session.exec(
        select(InvoiceSeries)
        .where(InvoiceSeries.provider_id == provider_id, InvoiceSeries.year == year)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def issue_invoice(session: Session, invoice: Invoice) -> None:
    """Number, hash and post a draft; what costs nothing is paid at once.

    The caller holds the issuer's series, so numbers have no gap.
    """
    lines = lines_of(session, invoice.id)
    check_move(invoice.state, InvoiceState.ISSUED)
    _number(invoice, lock_series(session, invoice.provider_id))
    invoice.state = InvoiceState.ISSUED
    invoice.issued_at = now(session)
    invoice.due_at = invoice.issued_at + timedelta(
        days=installation_of(session).settings.invoice_due_days
    )
    invoice.content_sha256 = content_hash(invoice, lines)
    if invoice.gross_minor:
        post(
            session,
            f"{invoice.id}:issued",
            TransferKind.INVOICE_ISSUED,
            invoice_issued(sale_of(invoice)),
            invoice_id=invoice.id,
        )
    else:
        check_move(invoice.state, InvoiceState.PAID)
        invoice.state = InvoiceState.PAID
        invoice.paid_at = invoice.issued_at
    _record(session, invoice)
    session.flush()


def sale_of(invoice: Invoice) -> Sale:
    """The invoice as the ledger sees it."""
    return Sale(
        invoice.buyer_id,
        invoice.provider_id,
        share=invoice.money(invoice.net_minor - invoice.fee_minor),
        vat=invoice.money(invoice.vat_minor),
        fee=invoice.money(invoice.fee_minor),
    )


def lines_of(session: Session, invoice_id: str) -> list[InvoiceLine]:
    """The lines of an invoice, in their order."""
    lines = session.exec(
        select(InvoiceLine)
        .where(InvoiceLine.invoice_id == invoice_id)
        .order_by(col(InvoiceLine.position))
    )
    return list(lines)


def _number(invoice: Invoice, series: InvoiceSeries) -> None:
    series.last_seq += 1
    invoice.number_year, invoice.number_seq = series.year, series.last_seq
    invoice.number = f"{series.year}-{series.last_seq:06d}"


def _record(session: Session, invoice: Invoice) -> None:
    record(
        session,
        "invoice:issued",
        invoice.id,
        organisations=(invoice.buyer_id, invoice.provider_id),
        number=invoice.number,
        period=invoice.period,
        scope=invoice.scope,
        content_sha256=invoice.content_sha256,
        currency=invoice.currency,
        net_minor=invoice.net_minor,
        vat_minor=invoice.vat_minor,
        fee_minor=invoice.fee_minor,
        gross_minor=invoice.gross_minor,
        state=invoice.state.value,
    )
