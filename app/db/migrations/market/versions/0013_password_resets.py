"""Password resets: a right to set a person's password once."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, UtcMoment

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "password_reset",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("person_id", IdText, nullable=False),
        sa.Column("issued_by", sa.String(length=32), nullable=False),
        sa.Column("issued_at", UtcMoment, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("used_at", UtcMoment, nullable=True),
        sa.Column("ended_at", UtcMoment, nullable=True),
        sa.CheckConstraint(
            "used_at IS NULL OR used_at = ended_at", name=op.f("ck_password_reset_used_at")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_password_reset_person_id")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_password_reset")),
    )
    op.create_index(op.f("ix_password_reset_lapses_at"), "password_reset", ["lapses_at"])
    op.create_index(op.f("ix_password_reset_person_id"), "password_reset", ["person_id"])
    still_open = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_password_reset_open",
        "password_reset",
        ["person_id"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("password_reset")
