"""Do the contracts hold? Invariant C1, read-only; names each row that breaks it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, func, select

from app.accounts.queries import signing_key_of
from app.contracts.models import Contract, DataGrant, Signature, TermsVersion
from app.contracts.states import ContractState
from app.contracts.terms import agreed_plan, canonical_terms, moments, points_of
from app.kernel.canonical import sha256_hex
from app.kernel.jwk import JoseInvalid, public_key
from app.kernel.jws import TERMS_TYPE, verify_detached

BATCH = 500


def problems(session: Session) -> Iterator[str]:
    """What is wrong with terms, signatures, contracts and grants; nothing when all hold."""
    yield from _terms_problems(session)
    yield from _signature_problems(session)
    yield from _repeated_signatures(session)
    yield from _contract_problems(session)


def _terms_problems(session: Session) -> Iterator[str]:
    for terms in session.exec(select(TermsVersion).execution_options(yield_per=BATCH)):
        name = f"terms {terms.number} of {terms.negotiation_id}"
        if sha256_hex(terms.canonical) != terms.sha256:
            yield f"C1: the bytes of {name} do not hash to their name"
        elif canonical_terms(terms.document)[0] != terms.canonical:
            yield f"C1: the document of {name} is not what its bytes say"


def _signature_problems(session: Session) -> Iterator[str]:
    rows = session.exec(
        select(Signature, TermsVersion)
        .join(TermsVersion, col(TermsVersion.sha256) == col(Signature.terms_sha256))
        .execution_options(yield_per=BATCH)
    )
    for signature, terms in rows:
        party = terms.document[signature.side.value] if signature.side != "alliance" else {}
        if party.get("id") != signature.organisation_id:
            yield f"C1: signature {signature.id} is not by the {signature.side.value} of its terms"
            continue
        key = signing_key_of(session, signature.organisation_id, signature.kid)
        if key is None:
            yield f"C1: signature {signature.id} is by a key that is not registered"
            continue
        try:
            verify_detached(signature.jws, terms.canonical, public_key(key.jwk), typ=TERMS_TYPE)
        except JoseInvalid as error:
            yield f"C1: signature {signature.id} does not hold: {error}"


def _repeated_signatures(session: Session) -> Iterator[str]:
    """A constraint forbids it; this says so even of a store whose constraint was dropped."""
    repeated = session.exec(
        select(Signature.terms_sha256, Signature.organisation_id)
        .group_by(col(Signature.terms_sha256), col(Signature.organisation_id))
        .having(func.count() > 1)
    )
    for sha256, organisation_id in repeated:
        yield f"C1: {organisation_id} has signed terms {sha256} more than once"


def _contract_problems(session: Session) -> Iterator[str]:
    rows = session.exec(
        select(Contract, TermsVersion, DataGrant)
        .join(TermsVersion, col(TermsVersion.sha256) == col(Contract.terms_sha256))
        .join(DataGrant, col(DataGrant.contract_id) == col(Contract.id), isouter=True)
        .execution_options(yield_per=BATCH)
    )
    for contract, terms, grant in rows:
        signers = session.exec(
            select(Signature.organisation_id).where(Signature.terms_sha256 == contract.terms_sha256)
        ).all()
        for party in (contract.provider_id, contract.buyer_id):
            if party not in signers:
                yield f"C1: contract {contract.id} is not signed by {party}"
        if _facts(contract) != _signed_facts(terms):
            yield f"C1: contract {contract.id} is not what was signed"
        yield from _grant_problems(contract, grant)


def _facts(contract: Contract) -> tuple[object, ...]:
    return (
        contract.negotiation_id,
        contract.buyer_id,
        contract.provider_id,
        contract.listing_id,
        contract.version_id,
        contract.plan_id,
        (contract.starts_at, contract.ends_at),
    )


def _signed_facts(terms: TermsVersion) -> tuple[object, ...]:
    document = terms.document
    points = points_of(document)
    return (
        document["negotiation_id"],
        document["buyer"]["id"],
        document["provider"]["id"],
        document["listing"]["id"],
        document["listing"]["version_id"],
        agreed_plan(document).id,
        moments(points.starts_on, points.ends_on),
    )


def _grant_problems(contract: Contract, grant: DataGrant | None) -> Iterator[str]:
    if grant is None:
        yield f"C1: contract {contract.id} has no grant"
    elif grant.live != (contract.state is ContractState.ACTIVE):
        yield f"C1: grant {grant.id} is not as live as contract {contract.id}"
