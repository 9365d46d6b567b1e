"""Signing: the provider agrees, the buyer verifies, and with that a contract and its grant exist.

A signature counts over exactly the newest terms' canonical bytes, by a live key of that very party.
The row lock of the negotiation lets one signing through at a time; the unique pair of version and
organisation holds even without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from app.accounts.queries import signing_key_of
from app.audit.recording import record
from app.contracts.errors import (
    CustodialNotOffered,
    SignatureInvalid,
    SignatureMissing,
    SigningKeyRevoked,
    SigningKeyUnknown,
    TermsReplaced,
)
from app.contracts.granting import open_grant
from app.contracts.granting_units import grant_trial
from app.contracts.models import Contract, Negotiation, Signature, TermsVersion
from app.contracts.negotiating import check_parties, move
from app.contracts.queries import access_negotiation, current_terms, earlier_terms, side_in
from app.contracts.sources import listing_on_offer
from app.contracts.states import ContractState, NegotiationState, Side
from app.contracts.terms import agreed_plan, check_not_lapsed, moments, points_of
from app.db.session import now
from app.kernel.ids import new_id
from app.kernel.jwk import JoseInvalid, PublicKey, public_key
from app.kernel.jws import TERMS_TYPE, read_header, verify_detached


@dataclass(frozen=True, slots=True)
class OfferedSignature:
    """What a party sends as its signature: a detached JWS, or the wish that we sign for it."""

    jws: str | None = None
    custodial: bool = False


def agree_terms(session: Session, negotiation_id: str, offered: OfferedSignature) -> Negotiation:
    """The provider signs the newest terms and is bound by them; the buyer signs next."""
    negotiation = access_negotiation(session, negotiation_id, lock=True)
    _sign(session, negotiation, NegotiationState.AGREED, offered)
    return negotiation


def verify_terms(session: Session, negotiation_id: str, offered: OfferedSignature) -> Negotiation:
    """The buyer signs the same bytes: the negotiation is final and a contract is active."""
    negotiation = access_negotiation(session, negotiation_id, lock=True)
    terms = _sign(session, negotiation, NegotiationState.VERIFIED, offered)
    move(session, negotiation, NegotiationState.FINALIZED, Side.PROVIDER)
    _conclude(session, negotiation, terms)
    return negotiation


def _sign(
    session: Session,
    negotiation: Negotiation,
    there: NegotiationState,
    offered: OfferedSignature,
) -> TermsVersion:
    side = side_in(session, negotiation)
    move(session, negotiation, there, side)
    terms = current_terms(session, negotiation)
    check_not_lapsed(terms.document, now(session))
    check_parties(session, negotiation)
    listing_on_offer(session, negotiation.listing_id)
    organisation_id = negotiation.buyer_id if side is Side.BUYER else negotiation.provider_id
    jws = _jws_of(offered)
    kid = _check_signature(session, negotiation, terms, organisation_id, jws)
    signature = Signature(
        id=new_id("sig"),
        negotiation_id=negotiation.id,
        terms_sha256=terms.sha256,
        organisation_id=organisation_id,
        side=side,
        kid=kid,
        jws=jws,
        signed_at=now(session),
    )
    session.add(signature)
    session.flush()
    record(
        session,
        "contract:signed",
        signature.id,
        organisations=(negotiation.buyer_id, negotiation.provider_id),
        negotiation_id=negotiation.id,
        side=side.value,
        kid=kid,
        terms_sha256=terms.sha256,
    )
    return terms


def _jws_of(offered: OfferedSignature) -> str:
    if offered.custodial:
        raise CustodialNotOffered(
            "We keep no signing keys for others: sign with a key that your organisation registered."
        )
    if not offered.jws:
        raise SignatureMissing("Send a detached JWS over the canonical bytes of the terms.")
    return offered.jws


def _check_signature(
    session: Session,
    negotiation: Negotiation,
    terms: TermsVersion,
    organisation_id: str,
    jws: str,
) -> str:
    """The name of the key whose signature of `terms` this is; refuses any other signature."""
    try:
        kid = read_header(jws).kid
    except JoseInvalid as error:
        raise SignatureInvalid(f"The signature cannot be read: {error}.") from error
    row = signing_key_of(session, organisation_id, kid)
    if row is None:
        raise SigningKeyUnknown("Your organisation has no signing key of this name.", kid=kid)
    # Held until the commit: no signature is ever dated after its key's revocation.
    session.refresh(row, with_for_update=True)
    if row.revoked_at is not None:
        raise SigningKeyRevoked("This signing key has been revoked.", kid=kid)
    key = public_key(row.jwk)
    try:
        verify_detached(jws, terms.canonical, key, typ=TERMS_TYPE)
    except JoseInvalid as error:
        if _fits_earlier(session, negotiation, key, jws):
            raise TermsReplaced(
                "This signs terms that have been replaced since: read them again.",
                terms_sha256=terms.sha256,
            ) from error
        raise SignatureInvalid(
            f"The signature does not hold: {error}.", terms_sha256=terms.sha256
        ) from error
    return kid


def _fits_earlier(session: Session, negotiation: Negotiation, key: PublicKey, jws: str) -> bool:
    for earlier in earlier_terms(session, negotiation):
        try:
            verify_detached(jws, earlier.canonical, key, typ=TERMS_TYPE)
        except JoseInvalid:
            continue
        return True
    return False


def _conclude(session: Session, negotiation: Negotiation, terms: TermsVersion) -> None:
    """The contract that both signatures make, and its grant; nothing exists before this."""
    points = points_of(terms.document)
    starts_at, ends_at = moments(points.starts_on, points.ends_on)
    contract = Contract(
        id=new_id("ctr"),
        negotiation_id=negotiation.id,
        buyer_id=negotiation.buyer_id,
        provider_id=negotiation.provider_id,
        listing_id=negotiation.listing_id,
        version_id=negotiation.version_id,
        plan_id=agreed_plan(terms.document).id,
        terms_sha256=terms.sha256,
        state=ContractState.ACTIVE,
        starts_at=starts_at,
        ends_at=ends_at,
        activated_at=now(session),
    )
    session.add(contract)
    session.flush()
    record(
        session,
        "contract:finalized",
        contract.id,
        organisations=(contract.buyer_id, contract.provider_id),
        negotiation_id=negotiation.id,
        listing_id=contract.listing_id,
        plan_id=contract.plan_id,
        terms_sha256=terms.sha256,
    )
    grant = open_grant(session, contract)
    grant_trial(session, contract, grant, terms.document)
