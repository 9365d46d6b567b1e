"""A closed month says what of earlier months it makes up for, and so does each line of that."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import JsonText

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    late = sa.Column("late", JsonText, nullable=False, server_default="[]")
    op.add_column("invoiced_range", late)
    op.add_column("invoice_line", sa.Column("late_for", sa.String(length=7), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("invoice_line", "late_for")
    op.drop_column("invoiced_range", "late")
