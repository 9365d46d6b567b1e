"""Attaching: the data of a listing: an uploaded file, or the address of an upstream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.db.installation import Installation, installation_of
from app.db.session import now
from app.jobs.queue import enqueue
from app.kernel.actor import Actor
from app.kernel.addresses import UpstreamUrl
from app.listings.codes import Delivery
from app.listings.datafiles.converting import Converted
from app.listings.datafiles.formats import SourceFormat
from app.listings.editing import (
    changed,
    check_delivery,
    check_editable,
    editable_listing,
    work_state,
)
from app.listings.errors import NewVersionNeeded
from app.listings.models import DataFile, Listing, UpstreamApi
from app.listings.queries import own_listing, upstream_of, working_file
from app.listings.states import EDITABLE, PUBLISHED
from app.listings.upstreams import AuthKind, Method, UpstreamAuth

UPSTREAM_CHANGED = "listing.upstream_changed"
TABULAR = (Delivery.HOSTED, Delivery.FILE)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A converted upload in its place; `path` is below the files' folder."""

    file_id: str
    name: str
    source_format: SourceFormat
    table: Converted
    path: str


@dataclass(frozen=True, slots=True)
class UpstreamWish:
    """How an upstream is to be called; its hosts have been found fit."""

    url: UpstreamUrl
    methods: frozenset[Method]
    auth: UpstreamAuth
    timeout_s: int
    body_max_bytes: int


def check_upload(installation: Installation, actor: Actor, listing_id: str) -> None:
    """Refuse an upload before its body is read; in a short transaction of its own."""
    with installation.transaction(actor, writes=False) as session:
        check_delivery(editable_listing(session, listing_id), TABULAR)


def check_upstream(installation: Installation, actor: Actor, listing_id: str) -> None:
    """Refuse an upstream before its name is looked up; in a short transaction of its own."""
    with installation.transaction(actor, writes=False) as session:
        check_delivery(own_listing(session, listing_id), (Delivery.UPSTREAM,))


def attach_file(session: Session, listing_id: str, kept: KeptFile) -> DataFile:
    """Make an uploaded table the working copy's data; the one before stays with its versions."""
    listing = editable_listing(session, listing_id)
    check_delivery(listing, TABULAR)
    before = working_file(session, listing_id)
    if before is not None:
        before.replaced_at = now(session)
        session.flush()
    file = DataFile(
        id=kept.file_id,
        listing_id=listing_id,
        name=kept.name,
        source_format=kept.source_format.value,
        rows=kept.table.rows,
        size_bytes=kept.table.size_bytes,
        sha256=kept.table.sha256,
        parquet_sha256=kept.table.parquet_sha256,
        parquet_size_bytes=kept.table.parquet_size_bytes,
        path=kept.path,
        columns=list(kept.table.columns),
        sample=list(kept.table.sample),
        uploaded_at=now(session),
    )
    session.add(file)
    changed(
        session,
        listing,
        "listing:file_uploaded",
        file_id=file.id,
        rows=file.rows,
        sha256=file.sha256,
        parquet_sha256=file.parquet_sha256,
    )
    return file


def set_upstream(session: Session, listing_id: str, wish: UpstreamWish) -> Listing:
    """Say how the upstream is called; the secret is sealed and never told again.

    All of a draft changes at once. Once a version is on sale its address and methods are frozen
    with it: new ones wait for its approval, and contracts on the earlier version keep theirs.
    Credential and limits may always change, and living grants learn of it.
    """
    listing = own_listing(session, listing_id)
    check_delivery(listing, (Delivery.UPSTREAM,))
    if listing.state not in PUBLISHED:
        check_editable(listing)
    upstream = upstream_of(session, listing_id)
    base_url, methods = str(wish.url), sorted(wish.methods)
    if upstream is None:
        upstream = UpstreamApi(listing_id=listing_id, auth_kind=AuthKind.NONE)
    if listing.version_id is None:
        upstream.base_url, upstream.methods = base_url, methods
    else:
        _keep_or_plan(listing, upstream, base_url, methods)
    _set_credential(session, upstream, wish)
    session.add(upstream)
    if listing.version_id is not None:
        enqueue(session, UPSTREAM_CHANGED, listing_id=listing_id)
    return changed(
        session,
        listing,
        "listing:upstream_set",
        base_url=base_url,
        methods=methods,
        auth_kind=wish.auth.kind.value,
        auth_details=wish.auth.details,
        timeout_s=wish.timeout_s,
        body_max_bytes=wish.body_max_bytes,
    )


def upstream_document(upstream: UpstreamApi) -> dict[str, Any]:
    """What a version freezes of an upstream: where it is and what it offers, not how to get in."""
    return {
        "base_url": upstream.next_base_url or upstream.base_url,
        "methods": upstream.next_methods or upstream.methods,
    }


def _keep_or_plan(
    listing: Listing, upstream: UpstreamApi, base_url: str, methods: list[Method]
) -> None:
    next_base_url = None if base_url == upstream.base_url else base_url
    next_methods = None if methods == upstream.methods else methods
    if (next_base_url, next_methods) == (upstream.next_base_url, upstream.next_methods):
        return
    if work_state(listing) not in EDITABLE:
        raise NewVersionNeeded(
            "Address and methods are frozen with what is on sale; open a new version to change"
            " them.",
            state=listing.state.value,
        )
    upstream.next_base_url, upstream.next_methods = next_base_url, next_methods


def _set_credential(session: Session, upstream: UpstreamApi, wish: UpstreamWish) -> None:
    upstream.auth_kind = wish.auth.kind
    upstream.auth_name = wish.auth.name
    upstream.auth_details = wish.auth.details
    upstream.sealed = None
    if wish.auth.kind is not AuthKind.NONE:
        upstream.sealed = installation_of(session).keys.seal(
            wish.auth.secret.encode(), f"upstream:{upstream.listing_id}"
        )
    upstream.timeout_s = wish.timeout_s
    upstream.body_max_bytes = wish.body_max_bytes
    upstream.set_at = now(session)
