"""Drafting: a listing begins, and its provider fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from app.audit.recording import record
from app.db.engine import is_sqlite
from app.db.session import actor_of, now
from app.http.entity_tags import check_if_match
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.clock import local_day
from app.kernel.ids import new_id
from app.kernel.refusals import NotAllowed
from app.listings.codes import Delivery
from app.listings.editing import changed, editable_listing
from app.listings.errors import ListingStepRefused, SlugTaken
from app.listings.licences import Licence, licence_from_terms
from app.listings.metadata import Metadata, merged, metadata_document, metadata_from
from app.listings.models import Listing, ProductSequence
from app.listings.odrl import licence_from_odrl, odrl_of
from app.listings.products import product_id
from app.listings.states import ListingState

_ODRL_SIGNS = frozenset({"@context", "@type", "@id", "uid", "permission"})


@dataclass(frozen=True, slots=True)
class ListingChange:
    """What an edit changes; members of `metadata` replace whole fields, None takes one away."""

    slug: str | None = None
    delivery: Delivery | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def create_listing(session: Session, slug: str, delivery: Delivery, metadata: Metadata) -> Listing:
    """A new draft of the actor's organisation; refuses with `SlugTaken`."""
    provider_id = actor_of(session).organisation_id
    if provider_id is None:
        raise NotAllowed("Only an organisation lists data.")
    moment = now(session)
    day = local_day(moment)
    listing = Listing(
        id=new_id("lst"),
        slug=slug,
        product_id=product_id(day, _next_number(session, f"{day:%Y%m%d}")),
        provider_id=provider_id,
        delivery=delivery,
        state=ListingState.DRAFT,
        stated=metadata_document(metadata),
        edit=1,
        created_at=moment,
        moved_at=moment,
    )
    _claim_slug(session, listing)
    record(
        session,
        "listing:created",
        listing.id,
        organisations=(provider_id,),
        slug=slug,
        product_id=listing.product_id,
        delivery=delivery.value,
    )
    return listing


def edit_listing(
    session: Session, listing_id: str, change: ListingChange, if_match: str | None
) -> Listing:
    """Change the working copy; the slug and the delivery are fixed once something was on sale."""
    listing = editable_listing(session, listing_id)
    check_if_match(if_match, listing.edit)
    if listing.version_id is not None and (change.slug or change.delivery):
        raise ListingStepRefused(
            "Contracts name the slug and the delivery: they stay as they are.",
            state=listing.state.value,
        )
    metadata = metadata_from(merged(listing.stated, change.metadata))
    listing.stated = metadata_document(metadata)
    listing.delivery = change.delivery or listing.delivery
    if change.slug is not None and change.slug != listing.slug:
        listing.slug = change.slug
        _claim_slug(session, listing)
    return changed(
        session,
        listing,
        "listing:edited",
        fields=sorted(change.metadata),
        slug=listing.slug,
        metadata_sha256=sha256_hex(canonical(listing.stated)),
    )


def set_licence(
    session: Session, listing_id: str, document: Mapping[str, Any], if_match: str | None
) -> Listing:
    """Set the terms of use, from structured terms or from ODRL; kept as ODRL either way."""
    listing = editable_listing(session, listing_id)
    check_if_match(if_match, listing.edit)
    licence = read_licence(document, listing)
    listing.licence = odrl_of(licence, listing.id, listing.provider_id)
    return changed(
        session,
        listing,
        "listing:licence_set",
        licence_sha256=sha256_hex(canonical(listing.licence)),
    )


def read_licence(document: Mapping[str, Any], listing: Listing) -> Licence:
    """The licence that a document states, in whichever of the two forms it is."""
    if _ODRL_SIGNS & set(document):
        return licence_from_odrl(document, listing.id, listing.provider_id)
    return licence_from_terms(document)


def _claim_slug(session: Session, listing: Listing) -> None:
    """Write the row; a slug that another has, or takes at this moment, is refused."""
    with session.no_autoflush:
        found = session.exec(select(Listing.id).where(Listing.slug == listing.slug)).first()
    if found not in (None, listing.id):
        raise SlugTaken("Another listing has this slug.", listing_slug=listing.slug)
    session.add(listing)
    try:
        session.flush()
    except IntegrityError as error:
        raise SlugTaken("Another listing has this slug.", listing_slug=listing.slug) from error


def _next_number(session: Session, day: str) -> int:
    """The next product number of the day; its row is locked until the transaction ends."""
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    statement = (
        insert(ProductSequence)
        .values(day=day, last=1)
        .on_conflict_do_update(index_elements=["day"], set_={"last": ProductSequence.last + 1})
        .returning(ProductSequence.last)  # type: ignore[call-overload]  # a column, not an int
    )
    return int(session.execute(statement).scalar_one())
