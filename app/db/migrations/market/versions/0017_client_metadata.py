"""Clients say by what they get tokens, and may prove themselves by keys of their own."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import JsonText

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SECRET = "ck_client_secret"  # noqa: S105 - a constraint's name
KEYS = "ck_client_jwks"
OLD = {SECRET: "(auth_method = 'none') = (secret_sha256 IS NULL)"}
NEW = {
    SECRET: "(auth_method = 'client_secret_basic') = (secret_sha256 IS NOT NULL)",
    KEYS: "(auth_method = 'private_key_jwt') = (jwks IS NOT NULL)",
}
CLIENT = sa.table(
    "client",
    sa.column("auth_method", sa.String),
    sa.column("redirect_uris", JsonText),
    sa.column("grant_types", JsonText),
)
CODES = ["authorization_code", "refresh_token"]


def upgrade() -> None:
    """Apply."""
    types = sa.Column("grant_types", JsonText, nullable=False, server_default="[]")
    op.add_column("client", types)
    op.add_column("client", sa.Column("jwks", JsonText, nullable=True))
    has_pages = CLIENT.c.redirect_uris != sa.literal([], JsonText)
    has_secret = CLIENT.c.auth_method != "none"
    for which, grant_types in (
        (has_secret, ["client_credentials"]),
        (has_pages, CODES),
        (has_pages & has_secret, [*CODES, "client_credentials"]),
    ):
        op.execute(CLIENT.update().where(which).values(grant_types=grant_types))
    _check(NEW, instead_of=[SECRET])


def downgrade() -> None:
    """Undo; clients that prove themselves by keys end."""
    _check({}, instead_of=[SECRET, KEYS])
    op.execute(
        "UPDATE client SET auth_method = 'none', revoked_at = COALESCE(revoked_at, created_at)"
        " WHERE auth_method = 'private_key_jwt'"
    )
    _check(OLD, instead_of=[])
    op.drop_column("client", "jwks")
    op.drop_column("client", "grant_types")


def _check(wanted: dict[str, str], instead_of: list[str]) -> None:
    # SQLite changes no constraint: its table is made anew.
    with op.batch_alter_table("client") as client:
        for name in instead_of:
            client.drop_constraint(op.f(name), type_="check")
        for name, sql in wanted.items():
            client.create_check_constraint(op.f(name), sa.text(sql))
