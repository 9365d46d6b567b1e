"""Ending a contract: by either side before its day, or by the calendar on it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, select

from app.audit.recording import record
from app.contracts.granting import change_grant
from app.contracts.models import Contract
from app.contracts.queries import access_contract, side_in
from app.contracts.states import LIVING, ContractState, check_move
from app.db.session import now
from app.jobs.queue import enqueue

AT_ONCE = 100


def end_contract(session: Session, contract_id: str, reason: str | None) -> Contract:
    """End a contract now, in the actor's name, and ask for its final invoice."""
    contract = access_contract(session, contract_id, lock=True)
    side = side_in(session, contract)
    _finish(session, contract, ContractState.ENDED, min(now(session), contract.ends_at))
    contract.ended_by = side
    contract.reason = reason
    _record(session, contract, side=side.value, reason=reason)
    return contract


def expire_contracts(session: Session) -> int:
    """Expire up to `AT_ONCE` contracts whose last day is over; how many there were."""
    due = session.exec(
        select(Contract)
        .where(col(Contract.state).in_(LIVING), col(Contract.ends_at) <= now(session))
        .order_by(col(Contract.ends_at))
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for contract in due:
        _finish(session, contract, ContractState.EXPIRED, contract.ends_at)
        _record(session, contract)
    return len(due)


def note_invoiced(session: Session, contract_ids: Collection[str]) -> None:
    """Note that these contracts have ended and all of their use is on invoices."""
    contracts = session.exec(
        select(Contract)
        .where(
            col(Contract.id).in_(contract_ids),
            col(Contract.state).not_in(LIVING),
            col(Contract.invoiced_at).is_(None),
        )
        .order_by(col(Contract.id))
        .with_for_update()
    ).all()
    for contract in contracts:
        contract.invoiced_at = now(session)
        record(
            session,
            "contract:invoiced",
            contract.id,
            organisations=(contract.buyer_id, contract.provider_id),
        )


def _finish(session: Session, contract: Contract, state: ContractState, at: datetime) -> None:
    check_move(contract.state, state)
    contract.state = state
    contract.ended_at = at
    change_grant(session, contract)
    enqueue(
        session,
        "contract.ended",
        dedupe_key=f"contract.ended:{contract.id}",
        contract_id=contract.id,
    )


def _record(session: Session, contract: Contract, **facts: str | None) -> None:
    record(
        session,
        f"contract:{contract.state.value}",
        contract.id,
        organisations=(contract.buyer_id, contract.provider_id),
        terms_sha256=contract.terms_sha256,
        **facts,
    )
