"""Every pair of states of payouts: the table, and nothing beside it."""

from __future__ import annotations

import itertools

import pytest

from app.billing.errors import StepRefused
from app.billing.payouts.states import PayoutState, check_move

ALLOWED = {
    ("held", "due"),
    ("due", "sending"),
    ("sending", "paid"),
    ("sending", "failed"),
    ("failed", "due"),
    ("failed", "paid"),
    ("due", "paid"),
    ("frozen", "paid"),
    ("held", "frozen"),
    ("due", "frozen"),
    ("failed", "frozen"),
    ("frozen", "due"),
}


@pytest.mark.parametrize(("here", "there"), list(itertools.product(PayoutState, repeat=2)))
def test_a_payout_moves_only_as_the_table_says(here: PayoutState, there: PayoutState) -> None:
    if (here.value, there.value) in ALLOWED:
        check_move(here, there)
        return
    with pytest.raises(StepRefused):
        check_move(here, there)
