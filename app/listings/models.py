"""Rows: listings, their files, upstreams, plans, frozen versions, reviews, and the catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.db.columns import (
    EnumText,
    IdText,
    enum_field,
    foreign_id_field,
    id_field,
    int_field,
    json_field,
    long_text_field,
    moment_field,
    ref_field,
    text_field,
)
from app.db.sealed import sealed_field
from app.listings.codes import Delivery, OpenType, Scene
from app.listings.states import Decision, ListingState, Side
from app.listings.upstreams import AuthKind

SHA256_CHARS = 64
SLUG_CHARS = 80
NAME_CHARS = 200
TITLE_CHARS = 120
REASON_CHARS = 2000


def _of_listing() -> Any:
    """The primary key of a row that a listing has one of."""
    return Field(sa_column=sa.Column(IdText, sa.ForeignKey("listing.id"), primary_key=True))


class Listing(SQLModel, table=True):
    """What a provider offers: the working copy, and where it and what is on sale stand.

    `state` is the listing's own life. Once something has been on sale, a new version under way
    has its state in `revision_state`, and `version_id` stays on sale meanwhile. `stated` is the
    metadata of the working copy, `licence` its ODRL policy.
    """

    __tablename__ = "listing"
    __table_args__ = (
        sa.CheckConstraint("edit >= 1", name="edit"),
        sa.CheckConstraint(
            "(state = 'SUSPENDED') = (suspended_by IS NOT NULL)", name="suspended_by"
        ),
        sa.CheckConstraint(
            "(state IN ('LISTED', 'SUSPENDED', 'DELISTED')) = (version_id IS NOT NULL)",
            name="version_id",
        ),
        sa.CheckConstraint(
            "revision_state IS NULL OR revision_state IN"
            " ('DRAFT', 'SUBMITTED', 'CORRECTION', 'REJECTED')",
            name="revision_state",
        ),
        sa.CheckConstraint("revision_state IS NULL OR version_id IS NOT NULL", name="revision"),
    )

    id: str = id_field()
    slug: str = text_field(SLUG_CHARS, unique=True)
    product_id: str = text_field(20, unique=True)
    provider_id: str = foreign_id_field()
    delivery: Delivery = enum_field(Delivery)
    state: ListingState = enum_field(ListingState, index=True)
    revision_state: ListingState | None = enum_field(ListingState, nullable=True, index=True)
    # The version on sale; without a foreign key, since versions refer to listings.
    version_id: str | None = foreign_id_field(nullable=True, index=False)
    stated: dict[str, Any] = json_field()
    licence: dict[str, Any] | None = json_field(nullable=True)
    suspended_by: Side | None = enum_field(Side, nullable=True)
    edit: int = int_field()
    created_at: datetime = moment_field()
    moved_at: datetime = moment_field()


class DataFile(SQLModel, table=True):
    """An uploaded table, kept as Parquet at `path` below the files' folder.

    `sha256` and `size_bytes` are of what was uploaded, `parquet_sha256` of what is kept and served.
    `columns`: `[{name, type}]`, DuckDB's types. `sample`: the first rows, unmasked.
    """

    __tablename__ = "data_file"
    __table_args__ = (
        sa.CheckConstraint("rows >= 0", name="rows"),
        sa.CheckConstraint("size_bytes >= 0", name="size_bytes"),
        sa.Index(
            "uq_data_file_working",
            "listing_id",
            unique=True,
            sqlite_where=sa.text("replaced_at IS NULL"),
            postgresql_where=sa.text("replaced_at IS NULL"),
        ),
    )

    id: str = id_field()
    listing_id: str = ref_field("listing.id")
    name: str = text_field(NAME_CHARS)
    source_format: str = text_field(10)
    rows: int = int_field()
    size_bytes: int = int_field()
    sha256: str = text_field(SHA256_CHARS)
    parquet_sha256: str = text_field(SHA256_CHARS)
    parquet_size_bytes: int = int_field()
    path: str = text_field(150, index=True)
    columns: list[Any] = json_field()
    sample: list[Any] = json_field()
    uploaded_at: datetime = moment_field()
    replaced_at: datetime | None = moment_field(nullable=True)


class UpstreamApi(SQLModel, table=True):
    """Where a proxied listing's calls go. The secret is sealed for `upstream:{listing_id}`.

    `next_base_url` and `next_methods` are a new version's, which take the place of the first on
    approval. `auth_details` is what a kind of authentication needs beside name and secret.
    """

    __tablename__ = "upstream"
    __table_args__ = (
        sa.CheckConstraint("(auth_kind = 'none') = (sealed IS NULL)", name="sealed"),
        sa.CheckConstraint("timeout_s BETWEEN 1 AND 60", name="timeout_s"),
        sa.CheckConstraint("body_max_bytes > 0", name="body_max_bytes"),
    )

    listing_id: str = _of_listing()
    base_url: str = text_field(2000)
    next_base_url: str | None = text_field(2000, nullable=True)
    methods: list[Any] = json_field()
    next_methods: list[Any] | None = json_field(nullable=True)
    auth_kind: AuthKind = enum_field(AuthKind)
    auth_name: str = text_field(NAME_CHARS)
    auth_details: dict[str, Any] | None = json_field(nullable=True)
    sealed: str | None = sealed_field("upstream:{listing_id}", nullable=True)
    timeout_s: int = int_field()
    body_max_bytes: int = int_field()
    set_at: datetime = moment_field()


class PlanRow(SQLModel, table=True):
    """A plan, never changed: the same name again is the next number and retires this one.

    `document` is what contracts sign; `headline_micro` is the price of a first paid unit in
    millionths of the major unit, rounded up, for the catalogue to sort by.
    """

    __tablename__ = "plan"
    __table_args__ = (
        sa.UniqueConstraint("listing_id", "name", "number"),
        sa.CheckConstraint("number >= 1", name="number"),
        sa.Index(
            "uq_plan_offered",
            "listing_id",
            "name",
            unique=True,
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        ),
    )

    id: str = id_field()
    listing_id: str = ref_field("listing.id", index=False)
    name: str = text_field(100)
    number: int = int_field()
    currency: str = text_field(3)
    document: dict[str, Any] = json_field()
    headline_micro: int = int_field()
    created_at: datetime = moment_field()
    retired_at: datetime | None = moment_field(nullable=True)


class ListingVersion(SQLModel, table=True):
    """What was submitted, frozen: it is what a reviewer saw, what is sold, and what is signed.

    `document` is the metadata with what the house filled in; `content_hash` covers it, the
    licence, the file and the upstream's address. `number` counts what was submitted.
    """

    __tablename__ = "listing_version"
    __table_args__ = (
        sa.UniqueConstraint("listing_id", "number"),
        sa.CheckConstraint("number >= 1", name="number"),
    )

    id: str = id_field()
    listing_id: str = ref_field("listing.id", index=False)
    number: int = int_field()
    delivery: Delivery = enum_field(Delivery)
    document: dict[str, Any] = json_field()
    licence: dict[str, Any] = json_field()
    file_id: str | None = ref_field("data_file.id", nullable=True)
    upstream: dict[str, Any] | None = json_field(nullable=True)
    content_hash: str = text_field(SHA256_CHARS)
    submitted_at: datetime = moment_field()
    submitted_by: str = text_field(32)
    listed_at: datetime | None = moment_field(nullable=True)


class ListingReview(SQLModel, table=True):
    """What a reviewer decided about one submitted version, once."""

    __tablename__ = "listing_review"

    version_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("listing_version.id"), primary_key=True)
    )
    decision: Decision = enum_field(Decision)
    reason: str = text_field(REASON_CHARS)
    basis: str = text_field(REASON_CHARS)
    decided_at: datetime = moment_field()
    decided_by: str = text_field(32)
    organisation_id: str = foreign_id_field(index=False)


class CatalogueEntry(SQLModel, table=True):
    """A listing that the public sees: there is one exactly while the listing is LISTED."""

    __tablename__ = "catalogue_entry"
    __table_args__ = (
        sa.Index("ix_catalogue_entry_listed_at", "listed_at", "listing_id"),
        sa.Index("ix_catalogue_entry_title", "title", "listing_id"),
        sa.Index("ix_catalogue_entry_price", "currency", "headline_micro", "listing_id"),
    )

    listing_id: str = _of_listing()
    version_id: str = ref_field("listing_version.id", index=False)
    provider_id: str = foreign_id_field()
    provider_name: str = text_field(NAME_CHARS)
    title: str = text_field(TITLE_CHARS)
    search_text: str = long_text_field()
    sector_code: str = text_field(10, index=True)
    region_code: str = text_field(10, index=True)
    open_type: OpenType | None = enum_field(OpenType, nullable=True)
    currency: str | None = text_field(3, nullable=True)
    headline_micro: int | None = int_field(nullable=True)
    listed_at: datetime = moment_field()


class CatalogueScene(SQLModel, table=True):
    """A scene that a catalogue entry is found by."""

    __tablename__ = "catalogue_scene"

    listing_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("catalogue_entry.listing_id"), primary_key=True)
    )
    scene: Scene = Field(sa_column=sa.Column(EnumText(Scene), primary_key=True, index=True))


class ProductSequence(SQLModel, table=True):
    """The last product number given out on a day."""

    __tablename__ = "product_sequence"

    day: str = Field(sa_column=sa.Column(sa.String(8), primary_key=True))
    last: int = int_field()
