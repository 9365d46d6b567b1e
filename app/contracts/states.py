"""The two lives: a negotiation's (Dataspace Protocol 2025-1) and a contract's."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.contracts.errors import NotYourStep, StepRefused


class Side(StrEnum):
    """In whose name something is done to a negotiation or contract."""

    BUYER = "buyer"
    PROVIDER = "provider"
    ALLIANCE = "alliance"


class NegotiationState(StrEnum):
    """How far two parties have come; the Dataspace Protocol's own words."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    TERMINATED = "TERMINATED"


class ContractState(StrEnum):
    """Where a signed contract stands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    ENDED = "ended"
    SUPERSEDED = "superseded"


class UnitKind(StrEnum):
    """Why units were granted beside the quotas."""

    TRIAL = "trial"
    TOP_UP = "top_up"
    GOODWILL = "goodwill"
    CARRY_OVER = "carry_over"


_BUYER = frozenset({Side.BUYER})
_PROVIDER = frozenset({Side.PROVIDER})
_EITHER = _BUYER | _PROVIDER

STEPS: Mapping[NegotiationState, Mapping[NegotiationState, frozenset[Side]]] = {
    NegotiationState.REQUESTED: {
        NegotiationState.OFFERED: _PROVIDER,
        NegotiationState.AGREED: _PROVIDER,
        NegotiationState.TERMINATED: _EITHER,
    },
    NegotiationState.OFFERED: {
        NegotiationState.REQUESTED: _BUYER,
        NegotiationState.ACCEPTED: _BUYER,
        NegotiationState.TERMINATED: _EITHER,
    },
    NegotiationState.ACCEPTED: {
        NegotiationState.AGREED: _PROVIDER,
        NegotiationState.TERMINATED: _PROVIDER,
    },
    # The provider has signed and is bound; only the one who has not signed yet may walk away.
    NegotiationState.AGREED: {
        NegotiationState.VERIFIED: _BUYER,
        NegotiationState.TERMINATED: _BUYER,
    },
    # Nobody ever finds a negotiation here: verifying finalises it in the same transaction, in the
    # provider's name, which its signature has given beforehand.
    NegotiationState.VERIFIED: {
        NegotiationState.FINALIZED: _PROVIDER,
        NegotiationState.TERMINATED: _PROVIDER,
    },
    NegotiationState.FINALIZED: {},
    NegotiationState.TERMINATED: {},
}

NEXT: Mapping[ContractState, frozenset[ContractState]] = {
    ContractState.ACTIVE: frozenset(
        {
            ContractState.SUSPENDED,
            ContractState.EXPIRED,
            ContractState.ENDED,
            ContractState.SUPERSEDED,
        }
    ),
    # Active again when the last hold is gone: `suspending.py` checks whose hold it was.
    ContractState.SUSPENDED: frozenset(
        {ContractState.ACTIVE, ContractState.EXPIRED, ContractState.ENDED}
    ),
    ContractState.EXPIRED: frozenset(),
    ContractState.ENDED: frozenset(),
    ContractState.SUPERSEDED: frozenset(),
}

LIVING = frozenset(state for state, following in NEXT.items() if following)
"""States of a contract that has not come to its end."""


def check_step(here: NegotiationState, there: NegotiationState, side: Side) -> None:
    """Refuse a step that the table does not hold, or holds for the other side only."""
    takers = STEPS[here].get(there)
    if takers is None:
        allowed = sorted(state.value for state in STEPS[here])
        raise StepRefused(
            f"A negotiation that is {here.value} cannot become {there.value}.",
            state=here.value,
            allowed=allowed,
        )
    if side not in takers:
        names = " or ".join(sorted(taker.value for taker in takers))
        raise NotYourStep(f"This step is the {names}'s.", state=here.value)


def check_move(here: ContractState, there: ContractState) -> None:
    """Refuse a move that the contract's life does not know."""
    if there not in NEXT[here]:
        allowed = sorted(state.value for state in NEXT[here])
        raise StepRefused(
            f"A contract that is {here.value} cannot become {there.value}.",
            state=here.value,
            allowed=allowed,
        )
