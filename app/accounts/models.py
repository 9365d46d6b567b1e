"""Rows: organisations, their verifications, clients, people and signing keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.accounts.roles import Role
from app.accounts.states import AuthMethod, Decision, OrganisationKind, VerificationState
from app.db.columns import (
    IdText,
    bool_field,
    enum_field,
    id_field,
    int_field,
    json_field,
    long_text_field,
    moment_field,
    ref_field,
    text_field,
)

SHA256_CHARS = 64
NAME_CHARS = 200
REASON_CHARS = 500


class Organisation(SQLModel, table=True):
    """A body that trades here, or the operator of the installation.

    The operator has no credit code until its administrator gives one. `verified_until` is the
    moment at which a verification lapses, whether or not the state says so yet.
    """

    __tablename__ = "organisation"
    __table_args__ = (
        sa.CheckConstraint("is_operator OR credit_code IS NOT NULL", name="credit_code"),
        sa.CheckConstraint(
            "(verification_state IN ('VERIFIED', 'EXPIRED')) = (verified_until IS NOT NULL)",
            name="verified_until",
        ),
        sa.Index(
            "uq_organisation_is_operator",
            "is_operator",
            unique=True,
            sqlite_where=sa.text("is_operator"),
            postgresql_where=sa.text("is_operator"),
        ),
    )

    id: str = id_field()
    name: str = text_field(NAME_CHARS)
    name_en: str | None = text_field(NAME_CHARS, nullable=True)
    credit_code: str | None = text_field(18, nullable=True, unique=True)
    kind: OrganisationKind = enum_field(OrganisationKind)
    region_code: str | None = text_field(12, nullable=True)
    contact: dict[str, Any] = json_field()
    is_operator: bool = bool_field()
    verification_state: VerificationState = enum_field(VerificationState)
    verified_until: datetime | None = moment_field(nullable=True, index=True)
    created_at: datetime = moment_field()
    suspended_at: datetime | None = moment_field(nullable=True, index=True)
    edit: int = int_field()


class Verification(SQLModel, table=True):
    """One request of an organisation to be verified, and what a reviewer made of it."""

    __tablename__ = "verification"
    __table_args__ = (
        sa.CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name="decided_at"),
        sa.CheckConstraint("(decision IS NULL) = (decided_by IS NULL)", name="decided_by"),
        sa.CheckConstraint("number >= 1", name="number"),
        sa.Index(
            "uq_verification_open",
            "organisation_id",
            unique=True,
            sqlite_where=sa.text("decision IS NULL"),
            postgresql_where=sa.text("decision IS NULL"),
        ),
    )

    organisation_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("organisation.id"), primary_key=True)
    )
    number: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    legal_representative: str | None = text_field(NAME_CHARS, nullable=True)
    documents: list[Any] = json_field()
    note: str | None = long_text_field(nullable=True)
    requested_at: datetime = moment_field()
    requested_by: str = text_field(32)
    decision: Decision | None = enum_field(Decision, nullable=True)
    decided_at: datetime | None = moment_field(nullable=True)
    decided_by: str | None = text_field(32, nullable=True)
    reason: str | None = text_field(REASON_CHARS, nullable=True)
    valid_until: datetime | None = moment_field(nullable=True)


class Client(SQLModel, table=True):
    """A program that acts for its organisation; a secret is kept as SHA-256 of 256 random bits.

    `roles` are alliance roles, for the operator's own programs only. `jwks` are the public keys
    of one that proves itself by `private_key_jwt`.
    """

    __tablename__ = "client"
    __table_args__ = (
        sa.CheckConstraint(
            "(auth_method = 'client_secret_basic') = (secret_sha256 IS NOT NULL)", name="secret"
        ),
        sa.CheckConstraint("(auth_method = 'private_key_jwt') = (jwks IS NOT NULL)", name="jwks"),
    )

    id: str = id_field()
    organisation_id: str = ref_field("organisation.id")
    name: str = text_field(NAME_CHARS)
    auth_method: AuthMethod = enum_field(AuthMethod)
    secret_sha256: str | None = text_field(SHA256_CHARS, nullable=True)
    scopes: list[Any] = json_field()
    roles: list[Any] = json_field()
    redirect_uris: list[Any] = json_field()
    grant_types: list[Any] = json_field()
    jwks: dict[str, Any] | None = json_field(nullable=True)
    created_at: datetime = moment_field()
    created_by: str = text_field(32)
    revoked_at: datetime | None = moment_field(nullable=True, index=True)


class Person(SQLModel, table=True):
    """Somebody who signs in; `email` is kept in lower case and names one person."""

    __tablename__ = "person"

    id: str = id_field()
    organisation_id: str = ref_field("organisation.id")
    email: str = text_field(254, unique=True)
    name: str = text_field(NAME_CHARS)
    role: Role = enum_field(Role)
    password_argon2: str = text_field(200)
    joined_at: datetime = moment_field()
    role_changed_at: datetime = moment_field(index=True)
    removed_at: datetime | None = moment_field(nullable=True, index=True)


class SigningKey(SQLModel, table=True):
    """The public half of a key that an organisation signs with; one key, one organisation."""

    __tablename__ = "signing_key"

    id: str = id_field()
    organisation_id: str = ref_field("organisation.id")
    thumbprint: str = text_field(43, unique=True)
    jwk: dict[str, Any] = json_field()
    registered_at: datetime = moment_field()
    registered_by: str = text_field(32)
    revoked_at: datetime | None = moment_field(nullable=True)


class UsedNonce(SQLModel, table=True):
    """What is good once, by its hash: the nonce of a key's proof, or a client's signed text.

    It is kept until it would have lapsed anyway.
    """

    __tablename__ = "used_nonce"

    sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    lapses_at: datetime = moment_field(index=True)
