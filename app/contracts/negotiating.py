"""Negotiating: request, offer, counter-offer, acceptance, and walking away.

Each change of terms is a new version: nothing that was ever proposed is lost, and what is signed is
the newest. Signing is in `signing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import Session

from app.audit.recording import record
from app.contracts.bounds import check_licensed, licence_of
from app.contracts.errors import NotYourStep, OwnListing, TermsNotOffered
from app.contracts.models import Negotiation, TermsVersion
from app.contracts.queries import access_negotiation, current_terms, side_in
from app.contracts.sources import (
    check_channel,
    check_party,
    listing_on_offer,
    offered_plan,
    party_of,
    subject_of,
)
from app.contracts.states import NegotiationState, Side, check_step
from app.contracts.terms import (
    Points,
    canonical_terms,
    changed_points,
    check_days,
    differences,
    draft_terms,
    points_of,
)
from app.db.session import actor_of, now
from app.kernel.canonical import NotCanonical
from app.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Wish:
    """What a buyer asks for; the days are the first and the last, both included."""

    listing_id: str
    plan_id: str
    purpose: str
    channel: str
    starts_on: date
    ends_on: date


def request_contract(session: Session, wish: Wish) -> Negotiation:
    """A negotiation about `wish`, in the actor's organisation's name as the buyer."""
    buyer_id = actor_of(session).organisation_id
    if buyer_id is None:
        raise NotYourStep("Only an organisation can ask for a contract.")
    listing = listing_on_offer(session, wish.listing_id)
    if listing.provider_id == buyer_id:
        raise OwnListing("This listing is your own.")
    assert listing.version_id is not None
    moment = now(session)
    negotiation = Negotiation(
        id=new_id("neg"),
        buyer_id=buyer_id,
        provider_id=listing.provider_id,
        listing_id=listing.id,
        version_id=listing.version_id,
        state=NegotiationState.REQUESTED,
        terms_number=0,
        requested_at=moment,
        moved_at=moment,
    )
    check_parties(session, negotiation)
    points = Points(
        plan=offered_plan(session, listing.id, wish.plan_id),
        purpose=wish.purpose,
        channel=wish.channel,
        starts_on=wish.starts_on,
        ends_on=wish.ends_on,
    )
    terms = _propose(session, negotiation, Side.BUYER, points)
    _record(session, "negotiation:requested", negotiation, terms_sha256=terms.sha256)
    return negotiation


def offer_terms(session: Session, negotiation_id: str, changes: Mapping[str, Any]) -> Negotiation:
    """The provider's answer to a request: its terms, with `changes` (`plan_id` names a plan)."""
    return _change_terms(session, negotiation_id, NegotiationState.OFFERED, changes)


def counter_terms(session: Session, negotiation_id: str, changes: Mapping[str, Any]) -> Negotiation:
    """The buyer's counter-offer: a new request with `changes`."""
    return _change_terms(session, negotiation_id, NegotiationState.REQUESTED, changes)


def accept_terms(session: Session, negotiation_id: str) -> Negotiation:
    """The buyer takes the offer as it is; the provider signs next."""
    negotiation = access_negotiation(session, negotiation_id, lock=True)
    side = side_in(session, negotiation)
    move(session, negotiation, NegotiationState.ACCEPTED, side)
    terms = current_terms(session, negotiation)
    _record(session, "negotiation:accepted", negotiation, terms_sha256=terms.sha256)
    return negotiation


def terminate_negotiation(session: Session, negotiation_id: str, reason: str) -> Negotiation:
    """Walk away, for a reason; nothing that was signed in it counts any more."""
    negotiation = access_negotiation(session, negotiation_id, lock=True)
    side = side_in(session, negotiation)
    move(session, negotiation, NegotiationState.TERMINATED, side)
    negotiation.terminated_by = side
    negotiation.reason = reason
    _record(session, "negotiation:terminated", negotiation, side=side.value, reason=reason)
    return negotiation


def move(session: Session, negotiation: Negotiation, there: NegotiationState, side: Side) -> None:
    """Take a step of the table on a locked negotiation, in the name of `side`."""
    check_step(negotiation.state, there, side)
    negotiation.state = there
    negotiation.moved_at = now(session)


def check_parties(session: Session, negotiation: Negotiation) -> None:
    """Refuse to go on unless both parties may be bound today."""
    check_party(session, negotiation.buyer_id)
    check_party(session, negotiation.provider_id)


def _change_terms(
    session: Session,
    negotiation_id: str,
    there: NegotiationState,
    changes: Mapping[str, Any],
) -> Negotiation:
    negotiation = access_negotiation(session, negotiation_id, lock=True)
    side = side_in(session, negotiation)
    move(session, negotiation, there, side)
    check_parties(session, negotiation)
    listing_on_offer(session, negotiation.listing_id)
    earlier = current_terms(session, negotiation)
    changed = dict(changes)
    if "plan_id" in changed:
        plan_id = changed.pop("plan_id")
        changed["plan"] = offered_plan(session, negotiation.listing_id, plan_id)
    points = changed_points(points_of(earlier.document), side, changed)
    terms = _propose(session, negotiation, side, points)
    _record(
        session,
        "negotiation:offered" if side is Side.PROVIDER else "negotiation:countered",
        negotiation,
        terms_sha256=terms.sha256,
        number=terms.number,
        changed=differences(earlier.document, terms.document),
    )
    return negotiation


def _propose(
    session: Session, negotiation: Negotiation, side: Side, points: Points
) -> TermsVersion:
    """The next version of the terms: drafted, held against the licence, hashed and stored."""
    check_days(points.starts_on, points.ends_on, now(session))
    check_channel(session, negotiation.version_id, points.channel)
    number = negotiation.terms_number + 1
    document = draft_terms(
        negotiation.id,
        number,
        provider=party_of(session, negotiation.provider_id),
        buyer=party_of(session, negotiation.buyer_id),
        subject=subject_of(session, negotiation.version_id),
        points=points,
    )
    check_licensed(licence_of(document), points, negotiation.buyer_id)
    try:
        data, sha256 = canonical_terms(document)
    except NotCanonical as error:
        raise TermsNotOffered(
            "The listing says something that cannot be signed.", rule="canonical", at=error.path
        ) from error
    negotiation.terms_number = number
    session.add(negotiation)
    session.flush()
    terms = TermsVersion(
        sha256=sha256,
        negotiation_id=negotiation.id,
        number=number,
        document=document,
        canonical=data,
        proposed_by=side,
        proposed_at=now(session),
    )
    session.add(terms)
    session.flush()
    return terms


def _record(session: Session, kind: str, negotiation: Negotiation, **facts: Any) -> None:
    record(
        session,
        kind,
        negotiation.id,
        organisations=(negotiation.buyer_id, negotiation.provider_id),
        **facts,
    )
