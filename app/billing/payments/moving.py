"""Moving: a payment from one state to the next, with the leaf that says so."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from app.audit.recording import record
from app.billing.payments.models import Payment
from app.billing.payments.states import PaymentState, check_move
from app.db.session import now

SETTLED = frozenset(
    {
        PaymentState.SUCCEEDED,
        PaymentState.FAILED,
        PaymentState.CANCELLED,
        PaymentState.MISMATCH,
    }
)


def move_payment(session: Session, payment: Payment, there: PaymentState, **facts: Any) -> None:
    """Move a locked payment and record it; refuses a move that its life does not know."""
    check_move(payment.state, there)
    payment.state = there
    if there in SETTLED:
        payment.settled_at = now(session)
        payment.checkout_url = None
    record(
        session,
        f"payment:{there.value}",
        payment.id,
        organisations=(payment.buyer_id, payment.provider_id),
        invoice_id=payment.invoice_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        **facts,
    )
    session.flush()
