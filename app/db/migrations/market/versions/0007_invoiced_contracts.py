"""Contracts whose last month is on an invoice, and an index of all others."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import UtcMoment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("contract", sa.Column("invoiced_at", UtcMoment, nullable=True))
    to_bill = sa.text("invoiced_at IS NULL")
    op.create_index(
        "ix_contract_to_bill",
        "contract",
        ["activated_at"],
        sqlite_where=to_bill,
        postgresql_where=to_bill,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_contract_to_bill", "contract")
    op.drop_column("contract", "invoiced_at")
