"""Organisations, verifications, clients, people, signing keys; OAuth keys, codes and sign-ins."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText, UtcMoment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

HASH = sa.String(64)
THUMBPRINT = sa.String(43)
ENUM = sa.String(40)


def upgrade() -> None:
    """Apply."""
    create_organisations()
    create_members()
    create_oauth()


def downgrade() -> None:
    """Undo."""
    for table in (
        "revoked_token",
        "sign_in_tries",
        "sign_in_session",
        "authorization_code",
        "token_key",
        "used_nonce",
        "signing_key",
        "person",
        "client",
        "verification",
        "organisation",
    ):
        op.drop_table(table)


def create_organisations() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", IdText, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("name_en", sa.String(200), nullable=True),
        sa.Column("credit_code", sa.String(18), nullable=True),
        sa.Column("kind", ENUM, nullable=False),
        sa.Column("region_code", sa.String(12), nullable=True),
        sa.Column("contact", JsonText, nullable=False),
        sa.Column("is_operator", sa.Boolean, nullable=False),
        sa.Column("verification_state", ENUM, nullable=False),
        sa.Column("verified_until", UtcMoment, nullable=True),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("suspended_at", UtcMoment, nullable=True),
        sa.Column("edit", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "(verification_state IN ('VERIFIED', 'EXPIRED')) = (verified_until IS NOT NULL)",
            name=op.f("ck_organisation_verified_until"),
        ),
        sa.CheckConstraint(
            "is_operator OR credit_code IS NOT NULL", name=op.f("ck_organisation_credit_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("credit_code", name=op.f("uq_organisation_credit_code")),
    )
    op.create_index(op.f("ix_organisation_suspended_at"), "organisation", ["suspended_at"])
    op.create_index(op.f("ix_organisation_verified_until"), "organisation", ["verified_until"])
    op.create_index(
        "uq_organisation_is_operator",
        "organisation",
        ["is_operator"],
        unique=True,
        sqlite_where=sa.text("is_operator"),
        postgresql_where=sa.text("is_operator"),
    )
    op.create_table(
        "verification",
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("legal_representative", sa.String(200), nullable=True),
        sa.Column("documents", JsonText, nullable=False),
        sa.Column("note", sa.Text, nullable=True),
        sa.Column("requested_at", UtcMoment, nullable=False),
        sa.Column("requested_by", sa.String(32), nullable=False),
        sa.Column("decision", ENUM, nullable=True),
        sa.Column("decided_at", UtcMoment, nullable=True),
        sa.Column("decided_by", sa.String(32), nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("valid_until", UtcMoment, nullable=True),
        sa.CheckConstraint(
            "(decision IS NULL) = (decided_at IS NULL)", name=op.f("ck_verification_decided_at")
        ),
        sa.CheckConstraint(
            "(decision IS NULL) = (decided_by IS NULL)", name=op.f("ck_verification_decided_by")
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_verification_number")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_verification_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "number", name=op.f("pk_verification")),
    )
    op.create_index(
        "uq_verification_open",
        "verification",
        ["organisation_id"],
        unique=True,
        sqlite_where=sa.text("decision IS NULL"),
        postgresql_where=sa.text("decision IS NULL"),
    )


def create_members() -> None:
    op.create_table(
        "client",
        sa.Column("id", IdText, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("auth_method", ENUM, nullable=False),
        sa.Column("secret_sha256", HASH, nullable=True),
        sa.Column("scopes", JsonText, nullable=False),
        sa.Column("roles", JsonText, nullable=False),
        sa.Column("redirect_uris", JsonText, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("created_by", sa.String(32), nullable=False),
        sa.Column("revoked_at", UtcMoment, nullable=True),
        sa.CheckConstraint(
            "(auth_method = 'none') = (secret_sha256 IS NULL)", name=op.f("ck_client_secret")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_client_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
    )
    op.create_index(op.f("ix_client_organisation_id"), "client", ["organisation_id"])
    op.create_index(op.f("ix_client_revoked_at"), "client", ["revoked_at"])
    op.create_table(
        "person",
        sa.Column("id", IdText, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", ENUM, nullable=False),
        sa.Column("password_argon2", sa.String(200), nullable=False),
        sa.Column("joined_at", UtcMoment, nullable=False),
        sa.Column("role_changed_at", UtcMoment, nullable=False),
        sa.Column("removed_at", UtcMoment, nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_person_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("email", name=op.f("uq_person_email")),
    )
    op.create_index(op.f("ix_person_organisation_id"), "person", ["organisation_id"])
    op.create_index(op.f("ix_person_removed_at"), "person", ["removed_at"])
    op.create_index(op.f("ix_person_role_changed_at"), "person", ["role_changed_at"])
    op.create_table(
        "signing_key",
        sa.Column("id", IdText, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("thumbprint", THUMBPRINT, nullable=False),
        sa.Column("jwk", JsonText, nullable=False),
        sa.Column("registered_at", UtcMoment, nullable=False),
        sa.Column("registered_by", sa.String(32), nullable=False),
        sa.Column("revoked_at", UtcMoment, nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_signing_key_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key")),
        sa.UniqueConstraint("thumbprint", name=op.f("uq_signing_key_thumbprint")),
    )
    op.create_index(op.f("ix_signing_key_organisation_id"), "signing_key", ["organisation_id"])
    op.create_table(
        "used_nonce",
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_used_nonce")),
    )
    op.create_index(op.f("ix_used_nonce_lapses_at"), "used_nonce", ["lapses_at"])


def create_oauth() -> None:
    op.create_table(
        "token_key",
        sa.Column("kid", THUMBPRINT, nullable=False),
        sa.Column("public_x", THUMBPRINT, nullable=False),
        sa.Column("sealed_private", sa.Text, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("retired_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_token_key")),
    )
    op.create_index(op.f("ix_token_key_created_at"), "token_key", ["created_at"])
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
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_authorization_code_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_authorization_code_person_id")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_authorization_code")),
    )
    op.create_index(op.f("ix_authorization_code_client_id"), "authorization_code", ["client_id"])
    op.create_index(op.f("ix_authorization_code_lapses_at"), "authorization_code", ["lapses_at"])
    op.create_index(op.f("ix_authorization_code_person_id"), "authorization_code", ["person_id"])
    op.create_table(
        "sign_in_session",
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("person_id", IdText, nullable=False),
        sa.Column("started_at", UtcMoment, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.Column("ended_at", UtcMoment, nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_sign_in_session_person_id")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_sign_in_session")),
    )
    op.create_index(op.f("ix_sign_in_session_lapses_at"), "sign_in_session", ["lapses_at"])
    op.create_index(op.f("ix_sign_in_session_person_id"), "sign_in_session", ["person_id"])
    op.create_table(
        "sign_in_tries",
        sa.Column("name_sha256", HASH, nullable=False),
        sa.Column("clear_at", UtcMoment, nullable=False),
        sa.Column("blocked_until", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("name_sha256", name=op.f("pk_sign_in_tries")),
    )
    op.create_index(op.f("ix_sign_in_tries_clear_at"), "sign_in_tries", ["clear_at"])
    op.create_table(
        "revoked_token",
        sa.Column("jti", THUMBPRINT, nullable=False),
        sa.Column("revoked_at", UtcMoment, nullable=False),
        sa.Column("lapses_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_token")),
    )
    op.create_index(op.f("ix_revoked_token_lapses_at"), "revoked_token", ["lapses_at"])
