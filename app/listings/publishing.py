"""Publishing: submit, review, take off sale and put back, and begin a new version."""

from __future__ import annotations

from sqlmodel import Session

from app.accounts.queries import must_be_verified
from app.accounts.roles import Role, has_role, must_have_role
from app.db.session import actor_of, now
from app.http.entity_tags import check_if_match
from app.kernel.actor import Actor
from app.kernel.refusals import NotAllowed
from app.listings.cataloguing import show_in_catalogue, take_from_catalogue
from app.listings.editing import changed, check_editable, move_work, work_state
from app.listings.errors import ListingStepRefused, OwnReview, ReviewIncomplete
from app.listings.freezing import check_gates, freeze_version
from app.listings.models import Listing, ListingReview, ListingVersion
from app.listings.queries import (
    REVIEWERS,
    access_listing,
    newest_version,
    own_listing,
    upstream_of,
)
from app.listings.states import DECIDED, PUBLISHED, Decision, ListingState, Side, check_move


def submit_listing(session: Session, listing_id: str) -> ListingVersion:
    """Freeze the working copy as a version and hand it to the reviewers.

    Refuses with `OrganisationNotVerified` or `GatesFailed`, which names every reason at once.
    """
    listing = own_listing(session, listing_id)
    check_editable(listing)
    must_be_verified(session, listing.provider_id)
    check_gates(session, listing)
    version = freeze_version(session, listing)
    move_work(listing, ListingState.SUBMITTED)
    listing.moved_at = now(session)
    changed(
        session,
        listing,
        "listing:submitted",
        version_id=version.id,
        number=version.number,
        content_hash=version.content_hash,
    )
    return version


def review_listing(
    session: Session,
    listing_id: str,
    decision: Decision,
    *,
    reason: str,
    basis: str,
    if_match: str | None = None,
) -> Listing:
    """Decide on the version that waits; approving puts exactly that version on sale.

    `if_match` names the edit that the reviewer read: another may have been corrected and handed
    in meanwhile. Refuses with `OwnReview`, `EditConflict`, `ListingStepRefused`, and on approval
    again with `GatesFailed`: plans and certificates may have changed meanwhile.
    """
    actor = actor_of(session)
    must_have_role(actor, Role.REVIEWER)
    if decision is not Decision.APPROVE and not (reason.strip() and basis.strip()):
        raise ReviewIncomplete("A rejection or correction names its reason and its basis.")
    listing = access_listing(session, listing_id, lock=True)
    if actor.organisation_id == listing.provider_id:
        raise OwnReview("Nobody reviews what their own organisation lists.")
    check_if_match(if_match, listing.edit)
    version = newest_version(session, listing_id)
    move_work(listing, DECIDED[decision])
    assert version is not None, "what was submitted has a version"
    listing.moved_at = now(session)
    session.add(_decided(session, version, decision, reason, basis))
    if decision is Decision.APPROVE:
        with session.no_autoflush:  # LISTED without its version is a state that no row may have
            must_be_verified(session, listing.provider_id)
            check_gates(session, listing)
        _put_on_sale(session, listing, version)
    changed(
        session,
        listing,
        "listing:reviewed",
        decision=decision.value,
        reason=reason,
        basis=basis,
        version_id=version.id,
        content_hash=version.content_hash,
    )
    if decision is Decision.APPROVE and listing.state is ListingState.LISTED:
        show_in_catalogue(session, listing)
    return listing


def suspend_listing(session: Session, listing_id: str, reason: str) -> Listing:
    """Take a listing off sale for now; contracts that were signed go on.

    The alliance's suspension stands over the provider's own: only the alliance lifts it.
    """
    listing = access_listing(session, listing_id, lock=True)
    side = _side_of(actor_of(session), listing)
    if not (listing.suspended_by is Side.PROVIDER and side is Side.ALLIANCE):
        check_move(listing.state, ListingState.SUSPENDED)
    listing.state = ListingState.SUSPENDED
    listing.suspended_by = side
    listing.moved_at = now(session)
    take_from_catalogue(session, listing_id)
    return changed(session, listing, "listing:suspended", side=side.value, reason=reason)


def resume_listing(session: Session, listing_id: str) -> Listing:
    """Put a suspended listing on sale again; only the side that suspended it may."""
    listing = access_listing(session, listing_id, lock=True)
    side = _side_of(actor_of(session), listing)
    check_move(listing.state, ListingState.LISTED)
    if side is not listing.suspended_by:
        raise NotAllowed(f"The listing was suspended by the {listing.suspended_by}.")
    must_be_verified(session, listing.provider_id)
    listing.state = ListingState.LISTED
    listing.suspended_by = None
    listing.moved_at = now(session)
    changed(session, listing, "listing:resumed", side=side.value)
    show_in_catalogue(session, listing)
    return listing


def delist_listing(session: Session, listing_id: str, reason: str) -> Listing:
    """Take a listing off sale for good; a new version under way ends with it."""
    listing = access_listing(session, listing_id, lock=True)
    side = _side_of(actor_of(session), listing)
    check_move(listing.state, ListingState.DELISTED)
    listing.state = ListingState.DELISTED
    listing.revision_state = None
    listing.suspended_by = None
    listing.moved_at = now(session)
    take_from_catalogue(session, listing_id)
    return changed(session, listing, "listing:delisted", side=side.value, reason=reason)


def open_new_version(session: Session, listing_id: str) -> Listing:
    """Begin a new version: the working copy can be edited again, what is on sale stays."""
    listing = own_listing(session, listing_id)
    if listing.state not in PUBLISHED:
        raise ListingStepRefused(
            f"A listing that is {listing.state.value} has nothing on sale to follow.",
            state=listing.state.value,
        )
    if listing.revision_state not in (None, ListingState.REJECTED):
        raise ListingStepRefused("A new version is under way.", state=work_state(listing).value)
    listing.revision_state = ListingState.DRAFT
    return changed(session, listing, "listing:version_opened")


def _put_on_sale(session: Session, listing: Listing, version: ListingVersion) -> None:
    version.listed_at = now(session)
    listing.version_id = version.id
    upstream = upstream_of(session, listing.id)
    if upstream is not None:
        upstream.base_url = upstream.next_base_url or upstream.base_url
        upstream.methods = upstream.next_methods or upstream.methods
        upstream.next_base_url = upstream.next_methods = None


def _decided(
    session: Session, version: ListingVersion, decision: Decision, reason: str, basis: str
) -> ListingReview:
    actor = actor_of(session)
    return ListingReview(
        version_id=version.id,
        decision=decision,
        reason=reason,
        basis=basis,
        decided_at=now(session),
        decided_by=actor.id,
        organisation_id=actor.organisation_id or "",
    )


def _side_of(actor: Actor, listing: Listing) -> Side:
    """Whose hand this is; somebody who may only look is refused."""
    if actor.organisation_id == listing.provider_id:
        return Side.PROVIDER
    if has_role(actor, *REVIEWERS):
        return Side.ALLIANCE
    raise NotAllowed("Only the provider, a reviewer or the administrator may do this.")
