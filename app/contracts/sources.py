"""Sources: what contracts read of accounts and listings, for terms and for grants."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from app.accounts.queries import load_organisation, must_be_verified
from app.contracts.errors import ListingNotOpen, PartySuspended, TermsNotOffered
from app.contracts.queries import NOT_FOUND
from app.contracts.terms import AgreedPlan, Party, Subject
from app.db.locks import get_or_refuse
from app.kernel.refusals import RowNotFound
from app.listings.codes import Delivery
from app.listings.licences import enforced_names, legal_only_names
from app.listings.models import DataFile, Listing, ListingVersion
from app.listings.odrl import licence_from_odrl
from app.listings.plans import plan_from_document
from app.listings.queries import offered_plans, upstream_of
from app.listings.states import ListingState


def check_party(session: Session, organisation_id: str) -> None:
    """Refuse to bind an organisation that is suspended or whose real name is not verified."""
    must_be_verified(session, organisation_id)
    if load_organisation(session, organisation_id).suspended_at is not None:
        raise PartySuspended("One of the parties is suspended.", organisation_id=organisation_id)


def party_of(session: Session, organisation_id: str) -> Party:
    """The organisation as the terms name it."""
    organisation = load_organisation(session, organisation_id)
    if organisation.credit_code is None:
        raise TermsNotOffered(
            "An organisation without a credit code cannot be a party.", rule="credit-code"
        )
    return Party(organisation.id, organisation.name, organisation.credit_code)


def listing_on_offer(session: Session, listing_id: str) -> Listing:
    """The listing, if it is LISTED now; one that nobody outside may see is `RowNotFound`."""
    listing = get_or_refuse(session, Listing, listing_id)
    if listing.version_id is None:
        raise RowNotFound(NOT_FOUND)
    if listing.state is not ListingState.LISTED:
        raise ListingNotOpen("The listing is not on offer now.", listing_state=listing.state.value)
    return listing


def subject_of(session: Session, version_id: str) -> Subject:
    """A frozen version of a listing, as the terms name it."""
    version = session.get_one(ListingVersion, version_id)
    listing = session.get_one(Listing, version.listing_id)
    licence = licence_from_odrl(version.licence, listing.id, listing.provider_id)
    return Subject(
        listing_id=listing.id,
        slug=listing.slug,
        title=version.document["title"],
        delivery=version.delivery.value,
        version_id=version.id,
        version_number=version.number,
        content_hash=version.content_hash,
        policy=version.licence,
        enforced=enforced_names(licence),
        legal_only=legal_only_names(licence),
    )


def offered_plan(session: Session, listing_id: str, plan_id: str) -> AgreedPlan:
    """A plan of the listing that can be bought now; else `TermsNotOffered`."""
    for row in offered_plans(session, listing_id):
        if row.id == plan_id:
            return AgreedPlan(row.id, row.number, plan_from_document(row.document))
    raise TermsNotOffered("The listing does not offer this plan.", rule="plan")


def check_channel(session: Session, version_id: str, channel: str) -> None:
    """Refuse a channel that the version is not delivered by."""
    version = session.get_one(ListingVersion, version_id)
    offered = {version.delivery.value}
    if version.delivery is Delivery.HOSTED:
        # What is hosted lies here as a file, and is one where the provider says so.
        offered |= {Delivery.FILE.value} & set(version.document.get("delivery_modes", ()))
    if channel not in offered:
        raise TermsNotOffered(
            "The listing is not delivered this way.", rule="channel", offered=sorted(offered)
        )


def file_source(session: Session, version_id: str) -> dict[str, Any] | None:
    """Where the file of a frozen version lies; None when it has none."""
    version = session.get_one(ListingVersion, version_id)
    if version.file_id is None:
        return None
    file = session.get_one(DataFile, version.file_id)
    return {
        "name": file.name,
        "path": file.path,
        "rows": file.rows,
        "sha256": file.parquet_sha256,
        "columns": file.columns,
    }


def upstream_source(session: Session, version_id: str) -> dict[str, Any] | None:
    """Where a proxied version's calls go, its credential still sealed; None for others.

    Address and methods are the version's own, under the content hash that was signed: a newer
    version never moves an older contract. Credential and limits are the listing's present ones.
    """
    version = session.get_one(ListingVersion, version_id)
    if version.delivery is not Delivery.UPSTREAM:
        return None
    upstream = upstream_of(session, version.listing_id)
    assert upstream is not None, "the gates ask for an upstream"
    assert version.upstream is not None, "a proxied version freezes its address"
    auth: dict[str, Any] = {"kind": upstream.auth_kind.value}
    if upstream.sealed is not None:
        auth |= {"name": upstream.auth_name, "sealed": upstream.sealed}
        auth |= upstream.auth_details or {}
    return {
        "listing_id": upstream.listing_id,
        "base_url": version.upstream["base_url"],
        "auth": auth,
        "timeout_s": upstream.timeout_s,
        "body_max_bytes": upstream.body_max_bytes,
        # Versions from before a provider could say which methods it offers are read with GET.
        "methods": version.upstream.get("methods", ["GET"]),
    }
