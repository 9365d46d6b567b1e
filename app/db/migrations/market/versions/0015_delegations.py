"""Delegations: what a person has allowed a client, the root of its codes and refresh tokens.

A code lives for a minute, so those that are there are dropped: their clients ask again.
"""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, UtcMoment

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

HASH = sa.String(length=64)
THUMBPRINT = sa.String(length=43)


def upgrade() -> None:
    """Apply."""
    op.drop_table("authorization_code")
    _create_delegations()
    _create_codes()
    op.create_table(
        "refresh_token",
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("delegation_id", IdText, nullable=False),
        sa.Column("issued_at", UtcMoment, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("used_at", UtcMoment, nullable=True),
        _belongs_to("refresh_token", "delegation"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_refresh_token")),
    )
    _index("refresh_token", "delegation_id", "lapses_at")


def downgrade() -> None:
    """Undo."""
    for table in ("refresh_token", "authorization_code", "delegation"):
        op.drop_table(table)
    op.create_table(
        "authorization_code",
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("client_id", IdText, nullable=False),
        sa.Column("person_id", IdText, nullable=False),
        sa.Column("redirect_uri", sa.String(2000), nullable=False),
        sa.Column("scope", sa.String(1000), nullable=False),
        sa.Column("code_challenge", THUMBPRINT, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("used_at", UtcMoment, nullable=True),
        sa.Column("jti", THUMBPRINT, nullable=True),
        sa.CheckConstraint(
            "(used_at IS NULL) = (jti IS NULL)", name=op.f("ck_authorization_code_used_at")
        ),
        _belongs_to("authorization_code", "client"),
        _belongs_to("authorization_code", "person"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_authorization_code")),
    )
    _index("authorization_code", "client_id", "lapses_at", "person_id")


def _create_delegations() -> None:
    op.create_table(
        "delegation",
        sa.Column("id", IdText, nullable=False),
        sa.Column("client_id", IdText, nullable=False),
        sa.Column("person_id", IdText, nullable=False),
        sa.Column("scope", sa.String(1000), nullable=False),
        sa.Column("authenticated_at", UtcMoment, nullable=False),
        sa.Column("session_sha256", HASH, nullable=False),
        sa.Column("began_at", UtcMoment, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("ended_at", UtcMoment, nullable=True),
        _belongs_to("delegation", "client"),
        _belongs_to("delegation", "person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegation")),
    )
    _index("delegation", "client_id", "ended_at", "lapses_at", "person_id")


def _create_codes() -> None:
    op.create_table(
        "authorization_code",
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("delegation_id", IdText, nullable=False),
        sa.Column("redirect_uri", sa.String(2000), nullable=False),
        sa.Column("code_challenge", THUMBPRINT, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("used_at", UtcMoment, nullable=True),
        _belongs_to("authorization_code", "delegation"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_authorization_code")),
    )
    _index("authorization_code", "delegation_id", "lapses_at")


def _belongs_to(table: str, parent: str) -> sa.ForeignKeyConstraint:
    column = f"{parent}_id"
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"fk_{table}_{column}"))


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
