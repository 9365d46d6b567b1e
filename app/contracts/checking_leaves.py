"""Do contracts say what the log says of them? Invariant A1, read-only; names each broken row.

A state that was changed behind the log's back is no longer the one that its last leaf tells of.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, col, select

from app.audit.told import Tale, lost_rows, with_tales
from app.contracts.granting_units import told_units
from app.contracts.models import (
    Contract,
    DataGrant,
    Hold,
    Negotiation,
    Signature,
    TermsVersion,
    UnitGrant,
)
from app.contracts.states import ContractState, NegotiationState, Side

PROPOSED = ("negotiation:requested", "negotiation:offered", "negotiation:countered")
STEPS = {
    "negotiation:requested": NegotiationState.REQUESTED,
    "negotiation:offered": NegotiationState.OFFERED,
    "negotiation:countered": NegotiationState.REQUESTED,
    "negotiation:accepted": NegotiationState.ACCEPTED,
    "negotiation:terminated": NegotiationState.TERMINATED,
}
MOVES = {
    "contract:finalized": ContractState.ACTIVE,
    "contract:suspended": ContractState.SUSPENDED,
    "contract:resumed": ContractState.ACTIVE,
    "contract:ended": ContractState.ENDED,
    "contract:expired": ContractState.EXPIRED,
}


def problems(session: Session) -> Iterator[str]:
    """Rows of contracts that the log does not tell of, or tells otherwise of."""
    yield from _terms_problems(session)
    yield from _signature_problems(session)
    yield from _negotiation_problems(session)
    yield from _contract_problems(session)
    yield from _hold_problems(session)
    yield from _grant_problems(session)
    yield from _unit_problems(session)
    yield from lost_rows(session, "negotiation:requested", Negotiation.id)
    yield from lost_rows(session, "contract:signed", Signature.id)
    yield from lost_rows(session, "contract:finalized", Contract.id)
    yield from lost_rows(session, "grant:opened", DataGrant.id)
    yield from lost_rows(session, "units:granted", UnitGrant.id)


def _terms_problems(session: Session) -> Iterator[str]:
    rows = select(TermsVersion).order_by(col(TermsVersion.negotiation_id), col(TermsVersion.number))
    for terms, tale in with_tales(session, rows, PROPOSED, lambda row: row.negotiation_id):
        told = (tale.has(kind, terms.proposed_at, terms_sha256=terms.sha256) for kind in PROPOSED)
        if not any(told):
            yield (
                f"A1: terms {terms.number} of {terms.negotiation_id} were proposed without a leaf"
            )


def _signature_problems(session: Session) -> Iterator[str]:
    rows = select(Signature).order_by(col(Signature.id))
    for signature, tale in with_tales(session, rows, ["contract:signed"], lambda row: row.id):
        if not tale.has(
            "contract:signed",
            signature.signed_at,
            negotiation_id=signature.negotiation_id,
            side=signature.side.value,
            kid=signature.kid,
            terms_sha256=signature.terms_sha256,
        ):
            yield f"A1: signature {signature.id} was made without a leaf"


def _negotiation_problems(session: Session) -> Iterator[str]:
    rows = select(Negotiation).order_by(col(Negotiation.id))
    for negotiation, tale in with_tales(session, rows, list(STEPS), lambda row: row.id):
        name = f"negotiation {negotiation.id}"
        if not tale.has("negotiation:requested", negotiation.requested_at):
            yield f"A1: {name} was begun without a leaf"
            continue
        state, moved_at = _negotiated(session, negotiation, tale)
        if negotiation.state is not state:
            yield f"A1: {name} is {negotiation.state.value}, the log says {state.value}"
        elif negotiation.moved_at != moved_at:
            yield f"A1: {name} did not move when the log says"


def _negotiated(
    session: Session, negotiation: Negotiation, tale: Tale
) -> tuple[NegotiationState, datetime]:
    """Where the leaves, the signatures and the contract say that the negotiation stands.

    Signatures and the contract have leaves of their own.
    """
    concluded = session.exec(
        select(Contract.activated_at).where(Contract.negotiation_id == negotiation.id)
    ).first()
    if concluded is not None:
        return NegotiationState.FINALIZED, concluded
    last = tale.last()
    assert last is not None, "its beginning was told"
    if last.kind == "negotiation:terminated":
        return NegotiationState.TERMINATED, last.at
    signed = session.exec(
        select(Signature.signed_at)
        .join(TermsVersion, col(TermsVersion.sha256) == col(Signature.terms_sha256))
        .where(
            Signature.negotiation_id == negotiation.id,
            Signature.side == Side.PROVIDER,
            TermsVersion.number == negotiation.terms_number,
        )
    ).first()
    if signed is not None:
        return NegotiationState.AGREED, signed
    return STEPS[last.kind], last.at


def _contract_problems(session: Session) -> Iterator[str]:
    rows = select(Contract).order_by(col(Contract.id))
    for contract, tale in with_tales(session, rows, list(MOVES), lambda row: row.id):
        name = f"contract {contract.id}"
        if not tale.has(
            "contract:finalized",
            contract.activated_at,
            negotiation_id=contract.negotiation_id,
            listing_id=contract.listing_id,
            plan_id=contract.plan_id,
            terms_sha256=contract.terms_sha256,
        ):
            yield f"A1: {name} was concluded without a leaf"
            continue
        last = tale.last()
        assert last is not None, "its beginning was told"
        # A side that resumes lifts only its own hold.
        state = ContractState.SUSPENDED if last.facts.get("still_held_by") else MOVES[last.kind]
        ended_at = min(last.at, contract.ends_at)
        if contract.state is not state:
            yield f"A1: {name} is {contract.state.value}, the log says {state.value}"
        elif contract.ended_at not in (None, ended_at):
            yield f"A1: {name} did not end when the log says"


def _hold_problems(session: Session) -> Iterator[str]:
    rows = select(Hold).order_by(col(Hold.contract_id), col(Hold.side))
    kinds = ["contract:suspended"]
    for hold, tale in with_tales(session, rows, kinds, lambda row: row.contract_id):
        if not tale.has(
            "contract:suspended", hold.held_at, side=hold.side.value, reason=hold.reason
        ):
            yield f"A1: the {hold.side.value}'s hold on {hold.contract_id} was made without a leaf"


def _grant_problems(session: Session) -> Iterator[str]:
    rows = select(DataGrant).order_by(col(DataGrant.id))
    kinds = ["grant:opened", "grant:changed"]
    for grant, tale in with_tales(session, rows, kinds, lambda row: row.id):
        last = tale.last()
        said = None if last is None else {**last.facts}
        if said != {
            "contract_id": grant.contract_id,
            "epoch": grant.epoch,
            "live": grant.live,
            "reason": None if grant.reason is None else grant.reason.value,
        }:
            yield f"A1: grant {grant.id} is not what its last leaf says"


def _unit_problems(session: Session) -> Iterator[str]:
    rows = select(UnitGrant).order_by(col(UnitGrant.id))
    for granted, tale in with_tales(session, rows, ["units:granted"], lambda row: row.id):
        if not tale.has("units:granted", granted.granted_at, **told_units(granted)):
            yield f"A1: unit grant {granted.id} is not what its leaf says"
