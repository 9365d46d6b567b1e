"""Units that were granted beside a contract's quotas."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, UtcMoment

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ENUM = sa.String(40)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "granted_units",
        sa.Column("id", IdText, nullable=False),
        sa.Column("contract_id", IdText, nullable=False),
        sa.Column("grant_id", IdText, nullable=False),
        sa.Column("kind", ENUM, nullable=False),
        sa.Column("cause", sa.String(60), nullable=False),
        sa.Column("meter", sa.String(10), nullable=False),
        sa.Column("priority", sa.BigInteger, nullable=False),
        sa.Column("amount_units", sa.BigInteger, nullable=False),
        sa.Column("starts_at", UtcMoment, nullable=False),
        sa.Column("ends_at", UtcMoment, nullable=False),
        sa.Column("side", ENUM, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("granted_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_granted_units")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contract.id"], name=op.f("fk_granted_units_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["data_grant.id"], name=op.f("fk_granted_units_grant_id")
        ),
        sa.UniqueConstraint("grant_id", "cause", name=op.f("uq_granted_units_grant_id_cause")),
        sa.CheckConstraint("amount_units >= 1", name=op.f("ck_granted_units_amount")),
        sa.CheckConstraint("priority BETWEEN 0 AND 255", name=op.f("ck_granted_units_priority")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_granted_units_life")),
    )
    op.create_index("ix_granted_units_contract_id", "granted_units", ["contract_id"])


def downgrade() -> None:
    """Undo."""
    op.drop_table("granted_units")
