"""Identity providers: where an organisation's people sign in, and how a session came about."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText, UtcMoment

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

HASH = sa.String(length=64)
ACTOR = sa.String(length=32)
CHOICE = sa.String(length=40)


def upgrade() -> None:
    """Apply."""
    amr = sa.Column("amr", CHOICE, nullable=False, server_default="pwd")
    op.add_column("sign_in_session", amr)
    _create_providers()
    _create_domains()
    op.create_table(
        "known_identity",
        sa.Column("identity_provider_id", IdText, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("person_id", IdText, nullable=False),
        sa.Column("bound_at", UtcMoment, nullable=False),
        _belongs_to("known_identity", "identity_provider"),
        _belongs_to("known_identity", "person"),
        sa.PrimaryKeyConstraint("identity_provider_id", "subject", name=op.f("pk_known_identity")),
        sa.UniqueConstraint(
            "identity_provider_id",
            "person_id",
            name=op.f("uq_known_identity_identity_provider_id_person_id"),
        ),
    )
    _index("known_identity", "person_id")
    op.create_table(
        "provider_visit",
        sa.Column("state_sha256", HASH, nullable=False),
        sa.Column("browser_sha256", HASH, nullable=False),
        sa.Column("identity_provider_id", IdText, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("began_at", UtcMoment, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("used_at", UtcMoment, nullable=True),
        _belongs_to("provider_visit", "identity_provider"),
        sa.PrimaryKeyConstraint("state_sha256", name=op.f("pk_provider_visit")),
    )
    _index("provider_visit", "identity_provider_id", "lapses_at")


def downgrade() -> None:
    """Undo."""
    for table in ("provider_visit", "known_identity", "mail_domain", "identity_provider"):
        op.drop_table(table)
    op.drop_column("sign_in_session", "amr")


def _create_providers() -> None:
    op.create_table(
        "identity_provider",
        sa.Column("id", IdText, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("auth_method", CHOICE, nullable=False),
        sa.Column("sealed_credential", sa.Text(), nullable=False),
        sa.Column("client_jwk", JsonText, nullable=True),
        sa.Column("role_claim", sa.String(length=200), nullable=True),
        sa.Column("roles", JsonText, nullable=False),
        sa.Column("default_role", CHOICE, nullable=True),
        sa.Column("password_allowed", sa.Boolean(), nullable=False),
        sa.Column("announced", JsonText, nullable=False),
        sa.Column("announced_at", UtcMoment, nullable=False),
        sa.Column("signing_keys", JsonText, nullable=False),
        sa.Column("keys_at", UtcMoment, nullable=False),
        sa.Column("attached_at", UtcMoment, nullable=False),
        sa.Column("attached_by", ACTOR, nullable=False),
        sa.Column("detached_at", UtcMoment, nullable=True),
        sa.Column("detached_by", ACTOR, nullable=True),
        sa.CheckConstraint(
            "(detached_at IS NULL) = (detached_by IS NULL)",
            name=op.f("ck_identity_provider_detached_by"),
        ),
        _belongs_to("identity_provider", "organisation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_provider")),
    )
    _index("identity_provider", "organisation_id")
    _unique_where(
        "uq_identity_provider_attached",
        "identity_provider",
        "organisation_id",
        "detached_at IS NULL",
    )


def _create_domains() -> None:
    op.create_table(
        "mail_domain",
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("proof", sa.String(length=43), nullable=False),
        sa.Column("claimed_at", UtcMoment, nullable=False),
        sa.Column("confirmed_at", UtcMoment, nullable=True),
        sa.Column("confirmed_by", ACTOR, nullable=True),
        sa.CheckConstraint(
            "(confirmed_at IS NULL) = (confirmed_by IS NULL)",
            name=op.f("ck_mail_domain_confirmed_by"),
        ),
        _belongs_to("mail_domain", "organisation"),
        sa.PrimaryKeyConstraint("organisation_id", "domain", name=op.f("pk_mail_domain")),
    )
    _unique_where("uq_mail_domain_confirmed", "mail_domain", "domain", "confirmed_at IS NOT NULL")


def _belongs_to(table: str, parent: str) -> sa.ForeignKeyConstraint:
    column = f"{parent}_id"
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"fk_{table}_{column}"))


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _unique_where(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=True, sqlite_where=where, postgresql_where=where)
