"""What is made of use: totals by day, files of whole months, and what is told of windows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

HASH = sa.String(64)
KINDS = "kind = 'day' OR kind = 'month' OR kind = 'quarter' OR kind = 'year' OR kind = 'contract'"
METERS = "meter = 'call' OR meter = 'row' OR meter = 'byte' OR meter = 'item'"
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
TABLES = ("usage_total", "usage_archive", "usage_archived", "usage_notice", "notice_progress")


def upgrade() -> None:
    """Apply."""
    create_totals()
    create_archives()
    create_notices()


def downgrade() -> None:
    """Undo."""
    for table in reversed(TABLES):
        op.drop_table(table)


def text_id(name: str) -> Any:
    return sa.Column(name, IdText, nullable=False)


def number(name: str) -> Any:
    return sa.Column(name, sa.BigInteger, nullable=False)


def create_totals() -> None:
    op.create_table(
        "usage_total",
        text_id("grant_id"),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("meter", sa.String(length=10), nullable=False),
        number("units"),
        number("granted_units"),
        number("calls"),
        number("bytes"),
        number("first_number"),
        number("last_number"),
        sa.CheckConstraint(METERS, name=op.f("ck_usage_total_meter")),
        sa.CheckConstraint(
            "first_number >= 1 AND last_number >= first_number", name=op.f("ck_usage_total_range")
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_total_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "day", "meter", name=op.f("pk_usage_total")),
        **CLUSTERED,
    )


def create_archives() -> None:
    op.create_table(
        "usage_archive",
        sa.Column("month", sa.String(length=7), nullable=False),
        number("from_us"),
        number("until_us"),
        sa.Column("file", sa.String(length=80), nullable=False),
        sa.Column("sha256", HASH, nullable=False),
        number("bytes"),
        number("events"),
        number("written_at_us"),
        sa.Column("leaf_id", IdText, nullable=True),
        sa.Column("removed_at_us", sa.BigInteger, nullable=True),
        sa.CheckConstraint("until_us > from_us", name=op.f("ck_usage_archive_bounds")),
        sa.CheckConstraint("events >= 1", name=op.f("ck_usage_archive_events")),
        sa.CheckConstraint(
            "removed_at_us IS NULL OR leaf_id IS NOT NULL", name=op.f("ck_usage_archive_removed")
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_usage_archive")),
        **CLUSTERED,
    )
    op.create_table(
        "usage_archived",
        text_id("grant_id"),
        number("first_number"),
        number("last_number"),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.CheckConstraint(
            "first_number >= 1 AND last_number >= first_number",
            name=op.f("ck_usage_archived_range"),
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_archived_grant_id")
        ),
        sa.ForeignKeyConstraint(
            ["month"], ["usage_archive.month"], name=op.f("fk_usage_archived_month")
        ),
        sa.PrimaryKeyConstraint("grant_id", "first_number", name=op.f("pk_usage_archived")),
        **CLUSTERED,
    )
    op.create_index("ix_usage_archived_month", "usage_archived", ["month"], unique=False)


def create_notices() -> None:
    op.create_table(
        "usage_notice",
        text_id("grant_id"),
        sa.Column("meter", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        number("starts_at_us"),
        number("limit_units"),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        number("ends_at_us"),
        sa.Column("overage", sa.String(length=10), nullable=False),
        number("used_units"),
        number("seen_at_us"),
        sa.Column("told_at_us", sa.BigInteger, nullable=True),
        sa.CheckConstraint(KINDS, name=op.f("ck_usage_notice_kind")),
        sa.CheckConstraint(METERS, name=op.f("ck_usage_notice_meter")),
        sa.CheckConstraint("ends_at_us > starts_at_us", name=op.f("ck_usage_notice_bounds")),
        sa.CheckConstraint(
            "overage = 'block' OR overage = 'charge'", name=op.f("ck_usage_notice_overage")
        ),
        sa.CheckConstraint(
            "limit_units > 0 AND used_units * 100 >= limit_units * percent",
            name=op.f("ck_usage_notice_due"),
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_notice_grant_id")
        ),
        sa.PrimaryKeyConstraint(
            "grant_id",
            "meter",
            "kind",
            "starts_at_us",
            "limit_units",
            "percent",
            name=op.f("pk_usage_notice"),
        ),
        **CLUSTERED,
    )
    untold = sa.text("told_at_us IS NULL")
    op.create_index(
        "ix_usage_notice_untold",
        "usage_notice",
        ["grant_id"],
        sqlite_where=untold,
        postgresql_where=untold,
    )
    op.create_table(
        "notice_progress",
        number("id"),
        number("seen_to_us"),
        sa.CheckConstraint("id = 1", name=op.f("ck_notice_progress_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_progress")),
    )
