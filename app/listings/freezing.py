"""Freezing: the working copy as it asks to be published, checked by the gates, made a version."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from app.accounts.queries import load_organisation
from app.db.session import actor_of, now
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.clock import local_day
from app.kernel.ids import new_id
from app.listings.attaching import upstream_document
from app.listings.errors import GatesFailed
from app.listings.gates import TABULAR, Candidate, failures
from app.listings.metadata import metadata_from
from app.listings.models import DataFile, Listing, ListingVersion
from app.listings.odrl import licence_from_odrl
from app.listings.plans import plan_from_document
from app.listings.queries import newest_version, offered_plans, upstream_of, working_file


def check_gates(session: Session, listing: Listing) -> None:
    """Refuse with `GatesFailed`, naming every gate that does not let the working copy through."""
    found = failures(candidate_of(session, listing))
    if found:
        raise GatesFailed(
            f"{len(found)} things stand against publishing this listing.",
            gates=[
                {"gate": failure.gate, "reason": failure.reason, "basis": failure.basis}
                for failure in found
            ],
        )


def candidate_of(session: Session, listing: Listing) -> Candidate:
    """The working copy as the gates look at it."""
    file = working_file(session, listing.id)
    licence = listing.licence
    return Candidate(
        metadata=metadata_from(listing.stated),
        delivery=listing.delivery,
        licence=None
        if licence is None
        else licence_from_odrl(licence, listing.id, listing.provider_id),
        plans=[plan_from_document(row.document) for row in offered_plans(session, listing.id)],
        columns=None
        if file is None
        else {column["name"]: column["type"] for column in file.columns},
        has_upstream=upstream_of(session, listing.id) is not None,
        today=local_day(now(session)),
    )


def freeze_version(session: Session, listing: Listing) -> ListingVersion:
    """A version of exactly what the working copy is now, with a hash over all of it."""
    assert listing.licence is not None, "the gates ask for a licence"
    before = newest_version(session, listing.id)
    number = 1 if before is None else before.number + 1
    file = working_file(session, listing.id) if listing.delivery in TABULAR else None
    upstream = upstream_of(session, listing.id) if listing.delivery not in TABULAR else None
    document = _document(session, listing, file, number)
    frozen_upstream = None if upstream is None else upstream_document(upstream)
    version = ListingVersion(
        id=new_id("ver"),
        listing_id=listing.id,
        number=number,
        delivery=listing.delivery,
        document=document,
        licence=listing.licence,
        file_id=None if file is None else file.id,
        upstream=frozen_upstream,
        content_hash=sha256_hex(
            canonical(
                {
                    "listing_id": listing.id,
                    "slug": listing.slug,
                    "delivery": listing.delivery.value,
                    "metadata": document,
                    "licence": listing.licence,
                    "file": None if file is None else _file_facts(file),
                    "upstream": frozen_upstream,
                }
            )
        ),
        submitted_at=now(session),
        submitted_by=actor_of(session).id,
    )
    session.add(version)
    session.flush()
    return version


def _document(
    session: Session, listing: Listing, file: DataFile | None, number: int
) -> dict[str, Any]:
    """The stated metadata and what the house fills in."""
    provider = load_organisation(session, listing.provider_id)
    document: dict[str, Any] = {
        **listing.stated,
        "product_id": listing.product_id,
        "provider_id": provider.id,
        "provider_code": provider.credit_code,
        "version": number,
    }
    if file is not None:
        document |= {
            "row_count": file.rows,
            "size_bytes": file.parquet_size_bytes,
            "schema": described_columns(file, listing.stated.get("schema", [])),
            "sample_ref": f"/api/v1/listings/{listing.id}/sample",
        }
    return document


def described_columns(file: DataFile, fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """信息项: the file's own columns and types, with what the provider says of them."""
    said = {field["name"]: field for field in fields}
    return [
        {**said.get(column["name"], {}), "name": column["name"], "type": column["type"]}
        for column in file.columns
    ]


def _file_facts(file: DataFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "rows": file.rows,
        "columns": file.columns,
        "sha256": file.sha256,
        "parquet_sha256": file.parquet_sha256,
    }
