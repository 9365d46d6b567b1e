"""An invoice's life."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.billing.errors import StepRefused


class InvoiceState(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    OVERDUE = "overdue"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"


NEXT: Mapping[InvoiceState, frozenset[InvoiceState]] = {
    InvoiceState.DRAFT: frozenset({InvoiceState.ISSUED}),
    # Void only while nothing is paid, and by a credit note. An invoice of zero is paid at once.
    InvoiceState.ISSUED: frozenset(
        {
            InvoiceState.PARTLY_PAID,
            InvoiceState.PAID,
            InvoiceState.OVERDUE,
            InvoiceState.VOID,
        }
    ),
    InvoiceState.PARTLY_PAID: frozenset(
        {InvoiceState.PAID, InvoiceState.OVERDUE, InvoiceState.UNCOLLECTIBLE}
    ),
    # A part that is paid late leaves it overdue; `paid_minor` tells how far it has come.
    InvoiceState.OVERDUE: frozenset({InvoiceState.PAID, InvoiceState.UNCOLLECTIBLE}),
    InvoiceState.PAID: frozenset(),
    InvoiceState.UNCOLLECTIBLE: frozenset(),
    InvoiceState.VOID: frozenset(),
}

OPEN = frozenset({InvoiceState.ISSUED, InvoiceState.PARTLY_PAID, InvoiceState.OVERDUE})
"""States in which money is still owed."""


def check_move(here: InvoiceState, there: InvoiceState) -> None:
    """Refuse a move that an invoice's life does not know."""
    if there not in NEXT[here]:
        raise StepRefused(
            f"An invoice that is {here.value} cannot become {there.value}.",
            state=here.value,
            allowed=sorted(state.value for state in NEXT[here]),
        )


def state_when_paid(here: InvoiceState, paid_minor: int, gross_minor: int) -> InvoiceState:
    """Where an open invoice stands once `paid_minor` of it is paid."""
    if paid_minor == gross_minor:
        return InvoiceState.PAID
    return InvoiceState.OVERDUE if here is InvoiceState.OVERDUE else InvoiceState.PARTLY_PAID
