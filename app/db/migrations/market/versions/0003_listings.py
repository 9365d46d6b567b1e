"""Listings, their files, upstreams, plans, versions, reviews, and the public catalogue."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText, UtcMoment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HASH = sa.String(64)
ENUM = sa.String(40)


def upgrade() -> None:
    """Apply."""
    create_listings()
    create_parts()
    create_versions()
    create_catalogue()


def downgrade() -> None:
    """Undo."""
    for table in (
        "product_sequence",
        "catalogue_scene",
        "catalogue_entry",
        "listing_review",
        "listing_version",
        "plan",
        "upstream",
        "data_file",
        "listing",
    ):
        op.drop_table(table)


def of_listing(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["listing_id"], ["listing.id"], name=op.f(f"fk_{table}_listing_id")
    )


def create_listings() -> None:
    op.create_table(
        "listing",
        sa.Column("id", IdText, nullable=False),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("product_id", sa.String(20), nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("delivery", ENUM, nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("revision_state", ENUM, nullable=True),
        sa.Column("version_id", IdText, nullable=True),
        sa.Column("stated", JsonText, nullable=False),
        sa.Column("licence", JsonText, nullable=True),
        sa.Column("suspended_by", ENUM, nullable=True),
        sa.Column("edit", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("moved_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
        sa.UniqueConstraint("slug", name=op.f("uq_listing_slug")),
        sa.UniqueConstraint("product_id", name=op.f("uq_listing_product_id")),
        sa.CheckConstraint("edit >= 1", name=op.f("ck_listing_edit")),
        sa.CheckConstraint(
            "(state = 'SUSPENDED') = (suspended_by IS NOT NULL)",
            name=op.f("ck_listing_suspended_by"),
        ),
        sa.CheckConstraint(
            "(state IN ('LISTED', 'SUSPENDED', 'DELISTED')) = (version_id IS NOT NULL)",
            name=op.f("ck_listing_version_id"),
        ),
        sa.CheckConstraint(
            "revision_state IS NULL OR revision_state IN"
            " ('DRAFT', 'SUBMITTED', 'CORRECTION', 'REJECTED')",
            name=op.f("ck_listing_revision_state"),
        ),
        sa.CheckConstraint(
            "revision_state IS NULL OR version_id IS NOT NULL", name=op.f("ck_listing_revision")
        ),
    )
    for column in ("provider_id", "state", "revision_state"):
        op.create_index(op.f(f"ix_listing_{column}"), "listing", [column])


def create_parts() -> None:
    op.create_table(
        "data_file",
        sa.Column("id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("source_format", sa.String(10), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("parquet_sha256", HASH, nullable=False),
        sa.Column("parquet_size_bytes", sa.BigInteger, nullable=False),
        sa.Column("path", sa.String(150), nullable=False),
        sa.Column("columns", JsonText, nullable=False),
        sa.Column("sample", JsonText, nullable=False),
        sa.Column("uploaded_at", UtcMoment, nullable=False),
        sa.Column("replaced_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_file")),
        sa.CheckConstraint("rows >= 0", name=op.f("ck_data_file_rows")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_data_file_size_bytes")),
        of_listing("data_file"),
    )
    op.create_index(op.f("ix_data_file_listing_id"), "data_file", ["listing_id"])
    op.create_index(op.f("ix_data_file_path"), "data_file", ["path"])
    working = sa.text("replaced_at IS NULL")
    op.create_index(
        op.f("uq_data_file_working"),
        "data_file",
        ["listing_id"],
        unique=True,
        sqlite_where=working,
        postgresql_where=working,
    )
    op.create_table(
        "upstream",
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("base_url", sa.String(2000), nullable=False),
        sa.Column("next_base_url", sa.String(2000), nullable=True),
        sa.Column("auth_kind", ENUM, nullable=False),
        sa.Column("auth_name", sa.String(200), nullable=False),
        sa.Column("sealed", sa.Text, nullable=True),
        sa.Column("timeout_s", sa.BigInteger, nullable=False),
        sa.Column("body_max_bytes", sa.BigInteger, nullable=False),
        sa.Column("set_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_upstream")),
        sa.CheckConstraint(
            "(auth_kind = 'none') = (sealed IS NULL)", name=op.f("ck_upstream_sealed")
        ),
        sa.CheckConstraint("timeout_s BETWEEN 1 AND 60", name=op.f("ck_upstream_timeout_s")),
        sa.CheckConstraint("body_max_bytes > 0", name=op.f("ck_upstream_body_max_bytes")),
        of_listing("upstream"),
    )
    create_plans()


def create_plans() -> None:
    op.create_table(
        "plan",
        sa.Column("id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("document", JsonText, nullable=False),
        sa.Column("headline_micro", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("retired_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint(
            "listing_id", "name", "number", name=op.f("uq_plan_listing_id_name_number")
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_plan_number")),
        of_listing("plan"),
    )
    offered = sa.text("retired_at IS NULL")
    op.create_index(
        op.f("uq_plan_offered"),
        "plan",
        ["listing_id", "name"],
        unique=True,
        sqlite_where=offered,
        postgresql_where=offered,
    )


def create_versions() -> None:
    op.create_table(
        "listing_version",
        sa.Column("id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("delivery", ENUM, nullable=False),
        sa.Column("document", JsonText, nullable=False),
        sa.Column("licence", JsonText, nullable=False),
        sa.Column("file_id", IdText, nullable=True),
        sa.Column("upstream", JsonText, nullable=True),
        sa.Column("content_hash", HASH, nullable=False),
        sa.Column("submitted_at", UtcMoment, nullable=False),
        sa.Column("submitted_by", sa.String(32), nullable=False),
        sa.Column("listed_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_version")),
        sa.UniqueConstraint(
            "listing_id", "number", name=op.f("uq_listing_version_listing_id_number")
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_listing_version_number")),
        of_listing("listing_version"),
        sa.ForeignKeyConstraint(
            ["file_id"], ["data_file.id"], name=op.f("fk_listing_version_file_id")
        ),
    )
    op.create_index(op.f("ix_listing_version_file_id"), "listing_version", ["file_id"])
    op.create_table(
        "listing_review",
        sa.Column("version_id", IdText, nullable=False),
        sa.Column("decision", ENUM, nullable=False),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("basis", sa.String(2000), nullable=False),
        sa.Column("decided_at", UtcMoment, nullable=False),
        sa.Column("decided_by", sa.String(32), nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_listing_review")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["listing_version.id"], name=op.f("fk_listing_review_version_id")
        ),
    )


def create_catalogue() -> None:
    op.create_table(
        "catalogue_entry",
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("version_id", IdText, nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("provider_name", sa.String(200), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("sector_code", sa.String(10), nullable=False),
        sa.Column("region_code", sa.String(10), nullable=False),
        sa.Column("open_type", ENUM, nullable=True),
        sa.Column("currency", sa.String(3), nullable=True),
        sa.Column("headline_micro", sa.BigInteger, nullable=True),
        sa.Column("listed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_catalogue_entry")),
        of_listing("catalogue_entry"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["listing_version.id"], name=op.f("fk_catalogue_entry_version_id")
        ),
    )
    for name, columns in (
        ("provider_id", ["provider_id"]),
        ("sector_code", ["sector_code"]),
        ("region_code", ["region_code"]),
        ("listed_at", ["listed_at", "listing_id"]),
        ("title", ["title", "listing_id"]),
        ("price", ["currency", "headline_micro", "listing_id"]),
    ):
        op.create_index(op.f(f"ix_catalogue_entry_{name}"), "catalogue_entry", columns)
    op.create_table(
        "catalogue_scene",
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("scene", ENUM, nullable=False),
        sa.PrimaryKeyConstraint("listing_id", "scene", name=op.f("pk_catalogue_scene")),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["catalogue_entry.listing_id"],
            name=op.f("fk_catalogue_scene_listing_id"),
        ),
    )
    op.create_index(op.f("ix_catalogue_scene_scene"), "catalogue_scene", ["scene"])
    op.create_table(
        "product_sequence",
        sa.Column("day", sa.String(8), nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_product_sequence")),
    )
