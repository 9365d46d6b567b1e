"""Questions about listings, and which of them an actor may have."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.roles import OVERSEERS, Role, has_role
from app.db.locks import get_or_refuse
from app.db.session import actor_of
from app.kernel.actor import Actor
from app.kernel.refusals import RowNotFound
from app.listings.models import (
    CatalogueEntry,
    DataFile,
    Listing,
    ListingReview,
    ListingVersion,
    PlanRow,
    UpstreamApi,
)
from app.listings.states import ListingState

REVIEWERS = frozenset({Role.REVIEWER, Role.ADMIN})
NOT_FOUND = "There is no such thing, or it is not yours."


def own_listing(session: Session, listing_id: str) -> Listing:
    """The listing, locked, for its provider; else `RowNotFound`."""
    listing = get_or_refuse(session, Listing, listing_id, lock=True)
    if listing.provider_id != actor_of(session).organisation_id:
        raise RowNotFound(NOT_FOUND)
    return listing


def access_listing(session: Session, listing_id: str, *, lock: bool = False) -> Listing:
    """The listing, drafts too, for its provider and those who oversee the alliance."""
    listing = get_or_refuse(session, Listing, listing_id, lock=lock)
    if not sees_all_of(actor_of(session), listing):
        raise RowNotFound(NOT_FOUND)
    return listing


def sees_all_of(actor: Actor, listing: Listing) -> bool:
    """Whether the actor sees the working copy, not just what is on sale."""
    return actor.organisation_id == listing.provider_id or has_role(actor, *OVERSEERS)


def public_listing(session: Session, listing_id: str) -> tuple[Listing, ListingVersion]:
    """A listing that is on sale and its frozen version, for anybody; else `RowNotFound`."""
    entry = get_or_refuse(session, CatalogueEntry, listing_id)
    listing = session.get_one(Listing, entry.listing_id)
    return listing, session.get_one(ListingVersion, entry.version_id)


def is_on_sale(session: Session, slug: str) -> bool:
    """Whether anybody may see a listing under this slug."""
    listed = (Listing.slug == slug, Listing.state == ListingState.LISTED)
    return session.exec(select(Listing.id).where(*listed)).first() is not None


def visible_listing(session: Session, listing_id: str) -> Listing:
    """The listing for anybody when it is on sale, else only for those who see all of it."""
    listing = get_or_refuse(session, Listing, listing_id)
    if listing.state is not ListingState.LISTED and not sees_all_of(actor_of(session), listing):
        raise RowNotFound(NOT_FOUND)
    return listing


def own_listings(session: Session) -> SelectOfScalar[Listing]:
    """The listings of the actor's organisation, in every state."""
    return select(Listing).where(Listing.provider_id == actor_of(session).organisation_id)


def submitted_listings() -> SelectOfScalar[Listing]:
    """The listings that wait for a reviewer: first versions and new ones."""
    waiting = ListingState.SUBMITTED
    return select(Listing).where((Listing.state == waiting) | (Listing.revision_state == waiting))


def working_file(session: Session, listing_id: str) -> DataFile | None:
    """The data file of the working copy."""
    return session.exec(
        select(DataFile).where(
            DataFile.listing_id == listing_id, col(DataFile.replaced_at).is_(None)
        )
    ).one_or_none()


def upstream_of(session: Session, listing_id: str) -> UpstreamApi | None:
    """Where a proxied listing's calls go."""
    return session.get(UpstreamApi, listing_id)


def offered_plans(session: Session, listing_id: str) -> Sequence[PlanRow]:
    """The plans that can be bought now, by name."""
    return session.exec(
        select(PlanRow)
        .where(PlanRow.listing_id == listing_id, col(PlanRow.retired_at).is_(None))
        .order_by(col(PlanRow.name))
    ).all()


def plan_of_listing(
    session: Session, listing_id: str, plan_id: str, *, lock: bool = False
) -> PlanRow:
    """A plan of this listing, retired ones too; else `RowNotFound`."""
    plan = get_or_refuse(session, PlanRow, plan_id, lock=lock)
    if plan.listing_id != listing_id:
        raise RowNotFound(NOT_FOUND)
    return plan


def versions_of(session: Session, listing_id: str) -> Sequence[ListingVersion]:
    """Everything that was ever submitted, the newest first."""
    return session.exec(
        select(ListingVersion)
        .where(ListingVersion.listing_id == listing_id)
        .order_by(col(ListingVersion.number).desc())
    ).all()


def newest_version(session: Session, listing_id: str) -> ListingVersion | None:
    """What was submitted last."""
    return next(iter(versions_of(session, listing_id)), None)


def reviews_of(session: Session, listing_id: str) -> Sequence[tuple[ListingReview, int]]:
    """Each decision with the number of the version it was about, the newest first."""
    return session.exec(
        select(ListingReview, ListingVersion.number)
        .join(ListingVersion, col(ListingVersion.id) == col(ListingReview.version_id))
        .where(ListingVersion.listing_id == listing_id)
        .order_by(col(ListingVersion.number).desc())
    ).all()
