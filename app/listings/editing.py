"""Editing: who may change the working copy now, and what each change leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from app.audit.recording import record
from app.listings.codes import Delivery
from app.listings.errors import DeliveryDiffers, ListingStepRefused, NewVersionNeeded
from app.listings.models import Listing
from app.listings.queries import own_listing
from app.listings.states import EDITABLE, PUBLISHED, ListingState, check_move


def work_state(listing: Listing) -> ListingState:
    """The state of the working copy: the new version's under way, else the listing's own."""
    return listing.revision_state or listing.state


def editable_listing(session: Session, listing_id: str) -> Listing:
    """The actor's own listing, locked, whose working copy may be changed.

    Refuses with `RowNotFound`, `NewVersionNeeded` or `ListingStepRefused`.
    """
    listing = own_listing(session, listing_id)
    check_editable(listing)
    return listing


def check_editable(listing: Listing) -> None:
    """Refuse to change what is frozen: under review, on sale, or over."""
    here = work_state(listing)
    if here in EDITABLE:
        return
    reopenable = listing.revision_state in (None, ListingState.REJECTED)
    if listing.state in PUBLISHED and reopenable:
        raise NewVersionNeeded(
            "What is on sale is frozen; open a new version first.", state=listing.state.value
        )
    raise ListingStepRefused(f"A listing that is {here.value} is not edited.", state=here.value)


def check_delivery(listing: Listing, allowed: Sequence[Delivery]) -> None:
    """Refuse a part that the listing's delivery has no use for."""
    if listing.delivery not in allowed:
        raise DeliveryDiffers(
            f"The listing is delivered as {listing.delivery.value}.",
            delivery=listing.delivery.value,
        )


def move_work(listing: Listing, there: ListingState) -> None:
    """Move the working copy by the table; a new version that becomes LISTED is then the listing."""
    check_move(work_state(listing), there)
    if listing.revision_state is None:
        listing.state = there
    else:
        listing.revision_state = None if there is ListingState.LISTED else there


def changed(session: Session, listing: Listing, kind: str, **facts: Any) -> Listing:
    """Count an edit of the listing and record it, for its provider and everyone to prove."""
    listing.edit += 1
    session.add(listing)
    session.flush()
    record(
        session,
        kind,
        listing.id,
        organisations=(listing.provider_id,),
        edit=listing.edit,
        **facts,
    )
    return listing
