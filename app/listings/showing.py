"""Showing: a listing's rows gathered into what its asker may see."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from sqlmodel import Session

from app.db.session import actor_of
from app.http.entity_tags import etag
from app.kernel.clock import local_day
from app.kernel.refusals import RowNotFound
from app.listings.codes import PersonalClass
from app.listings.errors import NoSampleYet
from app.listings.freezing import described_columns
from app.listings.licences import (
    enforced_names,
    legal_only_names,
    licence_document,
)
from app.listings.metadata import Contact, masked_contact
from app.listings.models import CatalogueEntry, DataFile, Listing, ListingVersion
from app.listings.odrl import licence_from_odrl
from app.listings.queries import (
    offered_plans,
    public_listing,
    reviews_of,
    sees_all_of,
    upstream_of,
    visible_listing,
    working_file,
)
from app.listings.samples import licensed_rows, masked_names, masked_rows
from app.listings.views import (
    CardView,
    LicenceView,
    ListingView,
    SampleView,
    card_view,
    file_view,
    plan_view,
    review_view,
    upstream_view,
    version_view,
)

_PERSONAL = frozenset({PersonalClass.DEIDENTIFIED, PersonalClass.PERSONAL, PersonalClass.SENSITIVE})


def show_listing(session: Session, listing_id: str) -> ListingView:
    """The listing as the actor may see it; `RowNotFound` when it may not at all."""
    listing = visible_listing(session, listing_id)
    if sees_all_of(actor_of(session), listing):
        return whole_view(session, listing)
    return public_view(session, *public_listing(session, listing_id))


def answer_listing(
    session: Session, listing: Listing, status_code: int = 200
) -> Response[ListingView]:
    """A changed listing with its entity tag, for those who see all of it."""
    return Response(
        whole_view(session, listing),
        status_code=status_code,
        headers={"ETag": etag(listing.edit)},
    )


def whole_view(session: Session, listing: Listing) -> ListingView:
    """The working copy, where it stands, and its reviews."""
    file = working_file(session, listing.id)
    upstream = upstream_of(session, listing.id)
    version = None
    if listing.version_id is not None:
        version = session.get_one(ListingVersion, listing.version_id)
    auto: dict[str, Any] = {"product_id": listing.product_id, "status": listing.state.value}
    if file is not None:
        auto |= {
            "row_count": file.rows,
            "size_bytes": file.parquet_size_bytes,
            "schema": described_columns(file, listing.stated.get("schema", [])),
        }
    return ListingView(
        id=listing.id,
        slug=listing.slug,
        product_id=listing.product_id,
        provider_id=listing.provider_id,
        delivery=listing.delivery,
        state=listing.state,
        revision_state=listing.revision_state,
        suspended_by=listing.suspended_by,
        metadata={**listing.stated, **auto},
        licence=listing.licence,
        file=None if file is None else file_view(file),
        upstream=None if upstream is None else upstream_view(upstream),
        plans=[plan_view(row) for row in offered_plans(session, listing.id)],
        version=None if version is None else version_view(version),
        reviews=[review_view(review, number) for review, number in reviews_of(session, listing.id)],
        created_at=listing.created_at,
    )


def public_view(session: Session, listing: Listing, version: ListingVersion) -> ListingView:
    """The version on sale, without what only its provider and the alliance may see."""
    file = _file_of(session, version)
    return ListingView(
        id=listing.id,
        slug=listing.slug,
        product_id=listing.product_id,
        provider_id=listing.provider_id,
        delivery=version.delivery,
        state=listing.state,
        revision_state=None,
        suspended_by=None,
        metadata=public_metadata(version),
        licence=version.licence,
        file=None if file is None else file_view(file),
        upstream=None,
        plans=[plan_view(row) for row in offered_plans(session, listing.id)],
        version=version_view(version),
        reviews=[],
        created_at=listing.created_at,
    )


def public_metadata(version: ListingVersion) -> dict[str, Any]:
    """The document of a version on sale: contact masked, and what publishing added."""
    document = dict(version.document)
    if "contact" in document:
        contact = masked_contact(msgspec.convert(document["contact"], Contact))
        document["contact"] = msgspec.to_builtins(contact)
    document["content_hash"] = version.content_hash
    document["status"] = "LISTED"
    if version.listed_at is not None:
        document["publish_date"] = local_day(version.listed_at).isoformat()
    return document


def show_card(session: Session, entry: CatalogueEntry) -> CardView:
    """One entry of the public list."""
    listing = session.get_one(Listing, entry.listing_id)
    return card_view(entry, listing, session.get_one(ListingVersion, entry.version_id))


def show_licence(session: Session, listing_id: str) -> LicenceView:
    """The terms of use, in both forms: of the version on sale, or of one's own working copy."""
    listing = visible_listing(session, listing_id)
    document = listing.licence
    if not sees_all_of(actor_of(session), listing):
        document = public_listing(session, listing_id)[1].licence
    if document is None:
        raise RowNotFound("The listing has no licence yet.")
    return licence_view(listing, document)


def licence_view(listing: Listing, document: dict[str, Any]) -> LicenceView:
    """The licence that an ODRL document of this listing states."""
    licence = licence_from_odrl(document, listing.id, listing.provider_id)
    return LicenceView(
        terms=licence_document(licence),
        odrl=document,
        enforced_by_gateway=enforced_names(licence),
        legal_only=legal_only_names(licence),
    )


def show_sample(session: Session, listing_id: str) -> SampleView:
    """The first rows with sensitive values masked; only columns and rows that the licence shows."""
    listing = visible_listing(session, listing_id)
    if sees_all_of(actor_of(session), listing):
        file, policy, stated = working_file(session, listing_id), listing.licence, listing.stated
    else:
        _, version = public_listing(session, listing_id)
        file, policy, stated = _file_of(session, version), version.licence, version.document
    if file is None:
        raise NoSampleYet("There is no table to show rows of.")
    shown, rows = list(file.columns), list(file.sample)
    if policy is not None:
        licence = licence_from_odrl(policy, listing.id, listing.provider_id)
        if licence.columns is not None:
            shown = [column for column in shown if column["name"] in licence.columns]
        if licence.rows is not None:
            rows = licensed_rows(rows, licence.rows, file.columns)
    personal = stated.get("pi_class") in _PERSONAL
    masked = masked_names(shown, stated.get("schema", []), personal=personal)
    names = [column["name"] for column in shown]
    return SampleView(columns=shown, masked=masked, rows=masked_rows(rows, names, masked))


def _file_of(session: Session, version: ListingVersion) -> DataFile | None:
    return None if version.file_id is None else session.get_one(DataFile, version.file_id)
