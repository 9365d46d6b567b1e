"""Notices: what an organisation is told, once."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText, UtcMoment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "notice",
        sa.Column("id", IdText, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("subject_id", IdText, nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("facts", JsonText, nullable=False),
        sa.Column("dedupe_key", sa.String(length=200), nullable=False),
        sa.Column("told_at", UtcMoment, nullable=False),
        sa.Column("read_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("organisation_id", "dedupe_key", name="uq_notice_dedupe_key"),
    )
    op.create_index("ix_notice_organisation_id", "notice", ["organisation_id", "id"])
    unread = sa.text("read_at IS NULL")
    op.create_index(
        "ix_notice_unread",
        "notice",
        ["organisation_id", "id"],
        sqlite_where=unread,
        postgresql_where=unread,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("notice")
