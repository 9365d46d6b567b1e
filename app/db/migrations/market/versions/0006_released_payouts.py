"""Payouts that were frozen, and released by an admin."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import UtcMoment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("payout", sa.Column("released_at", UtcMoment, nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("payout", "released_at")
