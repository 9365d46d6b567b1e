"""Cataloguing: what the public finds, written when a listing changes."""

from __future__ import annotations

from sqlmodel import Session, col, delete

from app.accounts.queries import organisation_name
from app.listings.metadata import Metadata, metadata_from, stated_of
from app.listings.models import CatalogueEntry, CatalogueScene, Listing, ListingVersion, PlanRow
from app.listings.queries import offered_plans
from app.listings.searching import search_key


def show_in_catalogue(session: Session, listing: Listing) -> None:
    """Write the entry of a LISTED listing from its version on sale and the plans offered now."""
    assert listing.version_id is not None, "only what has a version is on sale"
    version = session.get_one(ListingVersion, listing.version_id)
    metadata = metadata_from(stated_of(version.document))
    provider_name = organisation_name(session, listing.provider_id)
    cheapest = _cheapest(list(offered_plans(session, listing.id)))
    entry = session.get(CatalogueEntry, listing.id) or CatalogueEntry(listing_id=listing.id)
    assert version.listed_at is not None, "a version on sale was listed"
    entry.version_id = version.id
    entry.provider_id = listing.provider_id
    entry.provider_name = provider_name
    entry.title = metadata.title or ""
    entry.search_text = _search_text(metadata, provider_name)
    entry.sector_code = metadata.sector_code or ""
    entry.region_code = metadata.region_code or ""
    entry.open_type = metadata.open_type
    entry.currency = None if cheapest is None else cheapest.currency
    entry.headline_micro = None if cheapest is None else cheapest.headline_micro
    entry.listed_at = version.listed_at
    session.add(entry)
    session.flush()
    session.execute(delete(CatalogueScene).where(col(CatalogueScene.listing_id) == listing.id))
    for scene in dict.fromkeys(metadata.scene or ()):
        session.add(CatalogueScene(listing_id=listing.id, scene=scene))
    session.flush()


def take_from_catalogue(session: Session, listing_id: str) -> None:
    """Remove the entry: the public does not see the listing any more."""
    session.execute(delete(CatalogueScene).where(col(CatalogueScene.listing_id) == listing_id))
    session.execute(delete(CatalogueEntry).where(col(CatalogueEntry.listing_id) == listing_id))


def _cheapest(plans: list[PlanRow]) -> PlanRow | None:
    """The plan that a catalogue shows: CNY before others, then the lowest headline price."""
    return min(
        plans,
        key=lambda plan: (plan.currency != "CNY", plan.headline_micro, plan.id),
        default=None,
    )


def _search_text(metadata: Metadata, provider_name: str) -> str:
    parts = [
        metadata.title,
        metadata.title_en,
        *(metadata.keywords or ()),
        metadata.abstract,
        provider_name,
    ]
    return "\n".join(search_key(part) for part in parts if part)
