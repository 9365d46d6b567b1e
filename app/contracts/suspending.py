"""Suspending and resuming: each side has a hold of its own, and lifts only its own."""

from __future__ import annotations

from sqlmodel import Session

from app.audit.recording import record
from app.contracts.errors import NotYourStep, StepRefused
from app.contracts.granting import change_grant
from app.contracts.models import Contract, Hold
from app.contracts.queries import access_contract, holds_on, side_in
from app.contracts.states import LIVING, ContractState, Side, check_move
from app.db.session import now


def suspend_contract(session: Session, contract_id: str, reason: str | None) -> Contract:
    """Stop a contract's grant from now, in the actor's name; running calls finish.

    While another side's hold stands, this adds one: both must be lifted before calls go on.
    """
    contract = access_contract(session, contract_id, lock=True)
    side = side_in(session, contract)
    if contract.state is ContractState.ACTIVE:
        check_move(contract.state, ContractState.SUSPENDED)
        contract.state = ContractState.SUSPENDED
        _hold(session, contract, side, reason)
        change_grant(session, contract)
    elif contract.state is ContractState.SUSPENDED and _hold_of(session, contract, side) is None:
        _hold(session, contract, side, reason)
    else:
        raise StepRefused(
            f"A contract that is {contract.state.value} cannot be suspended by the {side.value}.",
            state=contract.state.value,
        )
    return contract


def resume_contract(session: Session, contract_id: str) -> Contract:
    """Lift the actor's hold; the grant lives again when it was the last one."""
    contract = access_contract(session, contract_id, lock=True)
    side = side_in(session, contract)
    if contract.state is not ContractState.SUSPENDED:
        raise StepRefused(
            f"A contract that is {contract.state.value} cannot be resumed.",
            state=contract.state.value,
        )
    hold = _hold_of(session, contract, side)
    if hold is None:
        raise NotYourStep("Only the side that suspended the contract may resume it.")
    session.delete(hold)
    session.flush()
    left = [held.side.value for held in holds_on(session, [contract.id])]
    record(
        session,
        "contract:resumed",
        contract.id,
        organisations=(contract.buyer_id, contract.provider_id),
        side=side.value,
        still_held_by=left,
    )
    if not left:
        contract.state = ContractState.ACTIVE
        change_grant(session, contract)
    return contract


def _hold(session: Session, contract: Contract, side: Side, reason: str | None) -> None:
    session.add(Hold(contract_id=contract.id, side=side, reason=reason, held_at=now(session)))
    session.flush()
    record(
        session,
        "contract:suspended",
        contract.id,
        organisations=(contract.buyer_id, contract.provider_id),
        side=side.value,
        reason=reason,
    )


def _hold_of(session: Session, contract: Contract, side: Side) -> Hold | None:
    assert contract.state in LIVING
    return session.get(Hold, (contract.id, side))
