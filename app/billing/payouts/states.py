"""A payout's life: our transfer of a provider's share to its connected account."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.billing.errors import StepRefused


class PayoutState(StrEnum):
    """Where a payout stands."""

    HELD = "held"
    DUE = "due"
    SENDING = "sending"
    PAID = "paid"
    FAILED = "failed"
    FROZEN = "frozen"


NEXT: Mapping[PayoutState, frozenset[PayoutState]] = {
    # Held until the holding period is over, due until the provider has an account and the money.
    PayoutState.HELD: frozenset({PayoutState.DUE, PayoutState.FROZEN}),
    PayoutState.DUE: frozenset({PayoutState.SENDING, PayoutState.FROZEN, PayoutState.PAID}),
    # Sending until the processor has said yes or no; silence is neither.
    PayoutState.SENDING: frozenset({PayoutState.PAID, PayoutState.FAILED}),
    PayoutState.PAID: frozenset(),
    # Paid after all, or due again and paid, where one of two jobs was refused and the other not.
    PayoutState.FAILED: frozenset({PayoutState.DUE, PayoutState.FROZEN, PayoutState.PAID}),
    # The buyer's money is disputed, or went back: an admin decides what the provider still gets.
    PayoutState.FROZEN: frozenset({PayoutState.DUE, PayoutState.PAID}),
}


FREEZABLE = frozenset(state for state, following in NEXT.items() if PayoutState.FROZEN in following)
"""States in which nothing has been sent yet."""


def check_move(here: PayoutState, there: PayoutState) -> None:
    """Refuse a move that a payout's life does not know."""
    if there not in NEXT[here]:
        raise StepRefused(
            f"A payout that is {here.value} cannot become {there.value}.",
            state=here.value,
            allowed=sorted(state.value for state in NEXT[here]),
        )
