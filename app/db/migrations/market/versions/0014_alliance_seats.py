"""Seats in the alliance, and the versions of its charter."""

import sqlalchemy as sa
from alembic import op

from app.accounts.alliance.triggers import SEAT_TRIGGERS
from app.db.columns import IdText, JsonText, UtcMoment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ENUM = sa.String(40)


def upgrade() -> None:
    """Apply."""
    create_seats()
    create_charters()
    for statement in SEAT_TRIGGERS[op.get_bind().dialect.name]:
        op.get_bind().exec_driver_sql(statement)


def create_seats() -> None:
    """Roles of organisations, with their terms."""
    op.create_table(
        "alliance_seat",
        sa.Column("id", IdText, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("role", ENUM, nullable=False),
        sa.Column("from_on", sa.Date, nullable=False),
        sa.Column("until_on", sa.Date, nullable=False),
        sa.Column("appointed_until_on", sa.Date, nullable=False),
        sa.Column("appointed_at", UtcMoment, nullable=False),
        sa.Column("appointed_by", sa.String(32), nullable=False),
        sa.Column("ended_at", UtcMoment, nullable=True),
        sa.Column("ended_by", sa.String(32), nullable=True),
        sa.Column("ended_reason", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alliance_seat")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_alliance_seat_organisation_id")
        ),
        sa.CheckConstraint("from_on < appointed_until_on", name=op.f("ck_alliance_seat_appointed")),
        sa.CheckConstraint(
            "until_on BETWEEN from_on AND appointed_until_on",
            name=op.f("ck_alliance_seat_until_on"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (until_on = appointed_until_on)",
            name=op.f("ck_alliance_seat_ended_at"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_alliance_seat_ended_by")
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_reason IS NULL)",
            name=op.f("ck_alliance_seat_ended_reason"),
        ),
    )
    op.create_index(
        "ix_alliance_seat_organisation_id", "alliance_seat", ["organisation_id", "role", "from_on"]
    )
    op.create_index(op.f("ix_alliance_seat_until_on"), "alliance_seat", ["until_on"])


def create_charters() -> None:
    """Versions of the charter."""
    op.create_table(
        "alliance_charter",
        sa.Column("id", IdText, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("effective_on", sa.Date, nullable=False),
        sa.Column("voting_roles", JsonText, nullable=False),
        sa.Column("quorum_numerator", sa.BigInteger, nullable=False),
        sa.Column("quorum_denominator", sa.BigInteger, nullable=False),
        sa.Column("majority_numerator", sa.BigInteger, nullable=False),
        sa.Column("majority_denominator", sa.BigInteger, nullable=False),
        sa.Column("published_at", UtcMoment, nullable=False),
        sa.Column("published_by", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alliance_charter")),
        sa.UniqueConstraint("number", name=op.f("uq_alliance_charter_number")),
        sa.UniqueConstraint("effective_on", name=op.f("uq_alliance_charter_effective_on")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_alliance_charter_number")),
        sa.CheckConstraint(
            "quorum_numerator BETWEEN 1 AND quorum_denominator",
            name=op.f("ck_alliance_charter_quorum"),
        ),
        sa.CheckConstraint(
            "majority_numerator BETWEEN 1 AND majority_denominator",
            name=op.f("ck_alliance_charter_majority"),
        ),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("alliance_charter")
    op.drop_table("alliance_seat")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION alliance_seat_no_overlap()")
