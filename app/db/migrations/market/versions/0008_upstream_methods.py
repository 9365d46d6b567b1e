"""Upstreams say which methods they offer, and may be entered by OAuth or a client certificate."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import JsonText

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    methods = sa.Column("methods", JsonText, nullable=False, server_default='["GET"]')
    op.add_column("upstream", methods)
    op.add_column("upstream", sa.Column("next_methods", JsonText, nullable=True))
    op.add_column("upstream", sa.Column("auth_details", JsonText, nullable=True))


def downgrade() -> None:
    """Undo."""
    for name in ("auth_details", "next_methods", "methods"):
        op.drop_column("upstream", name)
