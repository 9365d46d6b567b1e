"""The two tables of states, every pair of each."""

from __future__ import annotations

import itertools

import pytest

from app.contracts.errors import NotYourStep, StepRefused
from app.contracts.states import (
    LIVING,
    NEXT,
    STEPS,
    ContractState,
    NegotiationState,
    Side,
    check_move,
    check_step,
)

# The Dataspace Protocol's diagram, edge by edge: C is the buyer, P the provider.
EDGES = {
    ("REQUESTED", "OFFERED"): "P",
    ("REQUESTED", "AGREED"): "P",
    ("REQUESTED", "TERMINATED"): "CP",
    ("OFFERED", "REQUESTED"): "C",
    ("OFFERED", "ACCEPTED"): "C",
    ("OFFERED", "TERMINATED"): "CP",
    ("ACCEPTED", "AGREED"): "P",
    ("ACCEPTED", "TERMINATED"): "P",
    ("AGREED", "VERIFIED"): "C",
    ("AGREED", "TERMINATED"): "C",
    ("VERIFIED", "FINALIZED"): "P",
    ("VERIFIED", "TERMINATED"): "P",
}
MOVES = {
    ("active", "suspended"),
    ("active", "expired"),
    ("active", "ended"),
    ("active", "superseded"),
    ("suspended", "active"),
    ("suspended", "expired"),
    ("suspended", "ended"),
}


@pytest.mark.parametrize(
    ("here", "there"), list(itertools.product(NegotiationState, repeat=2)), ids=str
)
def test_a_negotiation_takes_exactly_the_steps_of_the_protocol(
    here: NegotiationState, there: NegotiationState
) -> None:
    takers = EDGES.get((here.value, there.value))
    for side, letter in ((Side.BUYER, "C"), (Side.PROVIDER, "P"), (Side.ALLIANCE, "A")):
        if takers is None:
            with pytest.raises(StepRefused) as refused:
                check_step(here, there, side)
            assert refused.value.status == 409
        elif letter in takers:
            check_step(here, there, side)
        else:
            with pytest.raises(NotYourStep) as foreign:
                check_step(here, there, side)
            assert foreign.value.status == 403


@pytest.mark.parametrize(
    ("here", "there"), list(itertools.product(ContractState, repeat=2)), ids=str
)
def test_a_contract_moves_exactly_as_its_life_allows(
    here: ContractState, there: ContractState
) -> None:
    if (here.value, there.value) in MOVES:
        check_move(here, there)
    else:
        with pytest.raises(StepRefused):
            check_move(here, there)


def test_both_tables_name_every_state() -> None:
    assert set(STEPS) == set(NegotiationState)
    assert set(NEXT) == set(ContractState)
    assert {ContractState.ACTIVE, ContractState.SUSPENDED} == LIVING
