"""The life of a listing: every pair of states, and nothing beside the table."""

from __future__ import annotations

from itertools import product

import pytest

from app.listings.errors import ListingStepRefused
from app.listings.states import DECIDED, NEXT, Decision, ListingState, check_move

ALLOWED = {
    ("DRAFT", "SUBMITTED"),
    ("SUBMITTED", "LISTED"),
    ("SUBMITTED", "CORRECTION"),
    ("SUBMITTED", "REJECTED"),
    ("CORRECTION", "SUBMITTED"),
    ("LISTED", "SUSPENDED"),
    ("LISTED", "DELISTED"),
    ("SUSPENDED", "LISTED"),
    ("SUSPENDED", "DELISTED"),
}


@pytest.mark.parametrize(("here", "there"), list(product(ListingState, ListingState)))
def test_a_listing_walks_only_the_steps_of_the_table(
    here: ListingState, there: ListingState
) -> None:
    if (here.value, there.value) in ALLOWED:
        check_move(here, there)
        return
    with pytest.raises(ListingStepRefused) as refused:
        check_move(here, there)
    assert refused.value.facts["state"] == here.value


def test_every_state_has_a_row_and_every_decision_leads_on_from_submitted() -> None:
    assert set(NEXT) == set(ListingState)
    assert set(DECIDED) == set(Decision)
    assert set(DECIDED.values()) == set(NEXT[ListingState.SUBMITTED])
