"""A closed month says how many of its units burned from unit grants, and cost nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    granted = sa.Column("granted_units", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("invoiced_range", granted)


def downgrade() -> None:
    """Undo."""
    op.drop_column("invoiced_range", "granted_units")
