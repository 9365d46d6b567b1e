"""Every pair of states of payments: the table, and nothing beside it."""

from __future__ import annotations

import itertools

import pytest

from app.billing.errors import StepRefused
from app.billing.payments.states import OPEN, UNSETTLED, PaymentState, check_move

SETTLED = {"succeeded", "failed", "cancelled", "mismatch"}
ALLOWED = (
    {("pending", "pending_unknown"), ("pending_unknown", "pending")}
    | {("pending", there) for there in SETTLED}
    | {("pending_unknown", there) for there in SETTLED}
)


@pytest.mark.parametrize(("here", "there"), list(itertools.product(PaymentState, repeat=2)))
def test_a_payment_moves_only_as_the_table_says(here: PaymentState, there: PaymentState) -> None:
    if (here.value, there.value) in ALLOWED:
        check_move(here, there)
        return
    with pytest.raises(StepRefused):
        check_move(here, there)


def test_what_is_settled_never_moves_and_a_mismatch_still_blocks_its_invoice() -> None:
    assert {state.value for state in UNSETTLED} == {"pending", "pending_unknown"}
    assert {state.value for state in OPEN} == {"pending", "pending_unknown", "mismatch"}
