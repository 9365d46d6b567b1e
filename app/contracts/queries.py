"""Questions about negotiations and contracts, and which of them an actor may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.roles import Role, has_role, is_admin
from app.contracts.errors import NotYourStep
from app.contracts.models import (
    Contract,
    DataGrant,
    Hold,
    Negotiation,
    Signature,
    TermsVersion,
    UnitGrant,
)
from app.contracts.states import Side
from app.db.session import actor_of
from app.kernel.actor import Actor, ActorKind
from app.kernel.ids import kind_of
from app.kernel.refusals import RowNotFound

OVERSEERS = (Role.ADMIN, Role.AUDITOR)
"""Those of the alliance who may read what others agreed."""

NOT_FOUND = "There is no such thing, or it is not yours."

_OURSELVES = frozenset({ActorKind.JOB, ActorKind.OPERATOR})

Deal = TypeVar("Deal", Negotiation, Contract)


def access_negotiation(session: Session, negotiation_id: str, *, lock: bool = False) -> Negotiation:
    """The negotiation, for its two parties and those who oversee; else `RowNotFound`."""
    return _access(session, Negotiation, negotiation_id, lock)


def access_contract(session: Session, contract_id: str, *, lock: bool = False) -> Contract:
    """The contract, for its two parties and those who oversee; else `RowNotFound`."""
    return _access(session, Contract, contract_id, lock)


def visible_negotiations(session: Session) -> SelectOfScalar[Negotiation]:
    """The negotiations that the actor may list."""
    return _visible(session, Negotiation)


def visible_contracts(session: Session) -> SelectOfScalar[Contract]:
    """The contracts that the actor may list."""
    return _visible(session, Contract)


def side_in(session: Session, deal: Negotiation | Contract) -> Side:
    """In whose name the actor changes `deal`; refuses one who may only read it."""
    actor = actor_of(session)
    if actor.organisation_id == deal.buyer_id:
        return Side.BUYER
    if actor.organisation_id == deal.provider_id:
        return Side.PROVIDER
    if actor.kind in _OURSELVES or is_admin(actor):
        return Side.ALLIANCE
    raise NotYourStep("Only the two parties may change this.")


def current_terms(session: Session, negotiation: Negotiation) -> TermsVersion:
    """The newest version of a negotiation's terms: the one that can be signed."""
    return session.exec(
        select(TermsVersion).where(
            TermsVersion.negotiation_id == negotiation.id,
            TermsVersion.number == negotiation.terms_number,
        )
    ).one()


def newest_terms(session: Session, negotiations: Sequence[Negotiation]) -> dict[str, TermsVersion]:
    """The newest version of each negotiation's terms, by negotiation."""
    rows = session.exec(
        select(TermsVersion)
        .join(Negotiation, col(Negotiation.id) == col(TermsVersion.negotiation_id))
        .where(
            col(Negotiation.id).in_([negotiation.id for negotiation in negotiations]),
            col(TermsVersion.number) == col(Negotiation.terms_number),
        )
    )
    return {terms.negotiation_id: terms for terms in rows}


def terms_numbered(session: Session, negotiation: Negotiation, number: int) -> TermsVersion:
    """One version of a negotiation's terms; `RowNotFound` when there is none of that number."""
    found = session.exec(
        select(TermsVersion).where(
            TermsVersion.negotiation_id == negotiation.id, TermsVersion.number == number
        )
    ).one_or_none()
    if found is None:
        raise RowNotFound("These terms have no version of that number.")
    return found


def earlier_terms(session: Session, negotiation: Negotiation) -> Sequence[TermsVersion]:
    """The versions that the newest one has replaced, newest first."""
    return session.exec(
        select(TermsVersion)
        .where(
            TermsVersion.negotiation_id == negotiation.id,
            TermsVersion.number < negotiation.terms_number,
        )
        .order_by(col(TermsVersion.number).desc())
    ).all()


def signed_terms(session: Session, contract: Contract) -> TermsVersion:
    """The version that both parties of `contract` have signed."""
    return session.get_one(TermsVersion, contract.terms_sha256)


def contract_from(session: Session, negotiation_ids: Sequence[str]) -> dict[str, str]:
    """The contracts that negotiations have led to, by negotiation."""
    rows = session.exec(
        select(Contract.negotiation_id, Contract.id).where(
            col(Contract.negotiation_id).in_(negotiation_ids)
        )
    )
    return dict(rows.all())


def uninvoiced_contracts(
    session: Session, activated_before: datetime
) -> Sequence[tuple[str, str, str]]:
    """Provider, buyer and id of each contract that may yet be invoiced, by an index of just these;
    for billing, in that order.
    """
    columns = (col(Contract.provider_id), col(Contract.buyer_id), col(Contract.id))
    rows = session.exec(
        select(*columns)
        .where(col(Contract.invoiced_at).is_(None), col(Contract.activated_at) < activated_before)
        .order_by(*columns)
    )
    return rows.all()


def terms_by_hash(session: Session, hashes: Sequence[str]) -> dict[str, TermsVersion]:
    """Versions of terms by their hash."""
    rows = session.exec(select(TermsVersion).where(col(TermsVersion.sha256).in_(hashes)))
    return {terms.sha256: terms for terms in rows}


def signatures_under(session: Session, hashes: Sequence[str]) -> Sequence[Signature]:
    """The signatures under these versions, oldest first."""
    return session.exec(
        select(Signature).where(col(Signature.terms_sha256).in_(hashes)).order_by(col(Signature.id))
    ).all()


def grants_of(session: Session, contract_ids: Sequence[str]) -> Sequence[DataGrant]:
    """The grants of these contracts."""
    return session.exec(select(DataGrant).where(col(DataGrant.contract_id).in_(contract_ids))).all()


def holds_on(session: Session, contract_ids: Sequence[str]) -> Sequence[Hold]:
    """What suspends these contracts, oldest first."""
    return session.exec(
        select(Hold)
        .where(col(Hold.contract_id).in_(contract_ids))
        .order_by(col(Hold.held_at), col(Hold.side))
    ).all()


def _access(session: Session, model: type[Deal], row_id: str, lock: bool) -> Deal:
    """Asks for the row and the right in one statement: a foreign id and a missing one are alike."""
    if kind_of(row_id) is None:
        raise RowNotFound(NOT_FOUND)
    statement = _visible(session, model).where(model.id == row_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    row = session.exec(statement).one_or_none()
    if row is None:
        raise RowNotFound(NOT_FOUND)
    return row


def _visible(session: Session, model: type[Deal]) -> SelectOfScalar[Deal]:
    actor = actor_of(session)
    statement = select(model)
    if _sees_all(actor):
        return statement
    own = actor.organisation_id
    return statement.where(sa.or_(col(model.buyer_id) == own, col(model.provider_id) == own))


def _sees_all(actor: Actor) -> bool:
    return actor.kind in _OURSELVES or has_role(actor, *OVERSEERS)


def units_of_contract(contract_id: str) -> SelectOfScalar[UnitGrant]:
    """What was granted on a contract that the asker may have."""
    return select(UnitGrant).where(UnitGrant.contract_id == contract_id)


def burnable_units(session: Session, grant_id: str, at: datetime) -> Sequence[UnitGrant]:
    """The units of a grant that calls may burn now or later."""
    return session.exec(
        select(UnitGrant)
        .where(UnitGrant.grant_id == grant_id, col(UnitGrant.ends_at) > at)
        .order_by(col(UnitGrant.id))
    ).all()


def units_by_id(session: Session, unit_grant_ids: Sequence[str]) -> dict[str, UnitGrant]:
    """These grants of units by their ids; those that there are not are left out."""
    rows = session.exec(select(UnitGrant).where(col(UnitGrant.id).in_(unit_grant_ids)))
    return {row.id: row for row in rows}


def every_unit_grant(session: Session) -> Iterator[Sequence[UnitGrant]]:
    """All grants of units, some at a time."""
    statement = select(UnitGrant).order_by(col(UnitGrant.id)).execution_options(yield_per=200)
    yield from session.exec(statement).partitions()
