"""The contract's part of the chain: negotiation, signed terms, signatures, contract, grant."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.audit.links import Link
from app.contracts.models import (
    Contract,
    DataGrant,
    Negotiation,
    Signature,
    TermsVersion,
    UnitGrant,
)
from app.kernel.clock import rfc3339
from app.kernel.ids import kind_of


def contract_of(session: Session, any_id: str) -> str | None:
    """The contract that a negotiation, signature, grant or contract id belongs to; else None."""
    found = {
        "ctr": select(Contract.id).where(Contract.id == any_id),
        "neg": select(Contract.id).where(Contract.negotiation_id == any_id),
        "grt": select(DataGrant.contract_id).where(DataGrant.id == any_id),
        "ugr": select(UnitGrant.contract_id).where(UnitGrant.id == any_id),
        "sig": select(Contract.id)
        .join(Signature, col(Signature.negotiation_id) == col(Contract.negotiation_id))
        .where(Signature.id == any_id),
    }
    statement = found.get(kind_of(any_id) or "")
    return None if statement is None else session.exec(statement).first()


def contracts_with(session: Session, any_id: str) -> list[str]:
    """Every contract that names this listing, version, plan or organisation, oldest first."""
    columns = {
        "lst": [Contract.listing_id],
        "ver": [Contract.version_id],
        "pln": [Contract.plan_id],
        "org": [Contract.buyer_id, Contract.provider_id],
    }.get(kind_of(any_id) or "", [])
    return [
        contract_id
        for column in columns
        for contract_id in session.exec(
            select(Contract.id).where(col(column) == any_id).order_by(col(Contract.id))
        )
    ]


def links_of(session: Session, contract_id: str) -> Iterator[Link]:
    """The rows of this package that belong to the contract."""
    contract = session.get_one(Contract, contract_id)
    negotiation = session.get_one(Negotiation, contract.negotiation_id)
    terms = session.get_one(TermsVersion, contract.terms_sha256)
    yield Link(contract.buyer_id, "buyer")
    yield Link(contract.provider_id, "provider")
    yield Link(contract.listing_id, "listing", {"slug": terms.document["listing"]["slug"]})
    yield Link(contract.version_id, "version", {"licence": terms.document["policy"]})
    yield Link(contract.plan_id, "plan")
    yield Link(negotiation.id, "negotiation", {"state": negotiation.state.value})
    signatures = session.exec(
        select(Signature)
        .where(Signature.terms_sha256 == contract.terms_sha256)
        .order_by(col(Signature.id))
    )
    for signature in signatures:
        yield Link(
            signature.id,
            "signature",
            {
                "side": signature.side.value,
                "kid": signature.kid,
                "terms_sha256": signature.terms_sha256,
                "signed_at": rfc3339(signature.signed_at),
            },
        )
    facts = {"state": contract.state.value, "terms_sha256": contract.terms_sha256}
    yield Link(contract.id, "contract", facts)
    for grant in session.exec(select(DataGrant).where(DataGrant.contract_id == contract_id)):
        yield Link(grant.id, "grant", {"epoch": grant.epoch, "live": grant.live})
    units = select(UnitGrant).where(UnitGrant.contract_id == contract_id)
    for granted in session.exec(units.order_by(col(UnitGrant.id))):
        told = {"kind": granted.kind.value, "units": granted.amount_units}
        yield Link(granted.id, "unit grant", told)
