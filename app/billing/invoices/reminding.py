"""Reminding: what is not paid by its day becomes overdue."""

from __future__ import annotations

from sqlmodel import col, select

from app.audit.recording import record
from app.billing.invoices.models import Invoice
from app.billing.invoices.states import InvoiceState, check_move
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import job_actor
from app.kernel.clock import rfc3339

AT_ONCE = 100


def mark_overdue(installation: Installation) -> None:
    """Mark every invoice overdue whose day has passed, some at a time; recurring work."""
    while _mark_some(installation) == AT_ONCE:
        pass


def _mark_some(installation: Installation) -> int:
    with installation.transaction(job_actor("invoices.remind")) as session:
        late = session.exec(
            select(Invoice)
            .where(
                col(Invoice.state).in_([InvoiceState.ISSUED, InvoiceState.PARTLY_PAID]),
                col(Invoice.due_at) <= now(session),
            )
            .order_by(col(Invoice.due_at))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        for invoice in late:
            check_move(invoice.state, InvoiceState.OVERDUE)
            invoice.state = InvoiceState.OVERDUE
            assert invoice.due_at is not None
            record(
                session,
                "invoice:overdue",
                invoice.id,
                organisations=(invoice.buyer_id, invoice.provider_id),
                due_at=rfc3339(invoice.due_at),
                owed_minor=invoice.owed.minor,
            )
        return len(late)
