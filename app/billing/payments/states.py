"""A payment's life, and how the processor's words map onto it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.billing.errors import StepRefused


class PaymentState(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    PENDING_UNKNOWN = "pending_unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MISMATCH = "mismatch"


NEXT: Mapping[PaymentState, frozenset[PaymentState]] = {
    PaymentState.PENDING: frozenset(
        {
            PaymentState.PENDING_UNKNOWN,
            PaymentState.SUCCEEDED,
            PaymentState.FAILED,
            PaymentState.CANCELLED,
            PaymentState.MISMATCH,
        }
    ),
    # Nobody knows whether the processor has it: the same request is repeated until one answers.
    PaymentState.PENDING_UNKNOWN: frozenset(
        {
            PaymentState.PENDING,
            PaymentState.SUCCEEDED,
            PaymentState.FAILED,
            PaymentState.CANCELLED,
            PaymentState.MISMATCH,
        }
    ),
    PaymentState.SUCCEEDED: frozenset(),
    PaymentState.FAILED: frozenset(),
    PaymentState.CANCELLED: frozenset(),
    # Money came, but not what was asked for: a person decides, and no other payment is begun.
    PaymentState.MISMATCH: frozenset(),
}

UNSETTLED = frozenset(state for state, following in NEXT.items() if following)
"""States from which the processor's word still moves a payment."""

OPEN = UNSETTLED | {PaymentState.MISMATCH}
"""States in which an invoice takes no other payment."""


def check_move(here: PaymentState, there: PaymentState) -> None:
    """Refuse a move that a payment's life does not know."""
    if there not in NEXT[here]:
        raise StepRefused(
            f"A payment that is {here.value} cannot become {there.value}.",
            state=here.value,
            allowed=sorted(state.value for state in NEXT[here]),
        )
