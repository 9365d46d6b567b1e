"""Rows: identity providers, mail domains, whom they know, and browsers that are on their way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.accounts.identity_providers.states import ProviderAuth
from app.accounts.models import SHA256_CHARS
from app.accounts.roles import Role
from app.db.columns import (
    IdText,
    bool_field,
    enum_field,
    id_field,
    json_field,
    long_text_field,
    moment_field,
    ref_field,
    text_field,
)
from app.db.sealed import sealed_field

ISSUER_CHARS = 500
CLIENT_ID_CHARS = 200
CLAIM_CHARS = 200
DOMAIN_CHARS = 253
SUBJECT_CHARS = 255


class IdentityProvider(SQLModel, table=True):
    """An OpenID provider that an organisation has attached; another issuer is another row.

    `sealed_credential` is our client secret, or the private JWK that our assertions are signed
    with. `announced` and `signing_keys` are what the provider published when it was last asked.
    """

    __tablename__ = "identity_provider"
    __table_args__ = (
        sa.CheckConstraint("(detached_at IS NULL) = (detached_by IS NULL)", name="detached_by"),
        sa.Index(
            "uq_identity_provider_attached",
            "organisation_id",
            unique=True,
            sqlite_where=sa.text("detached_at IS NULL"),
            postgresql_where=sa.text("detached_at IS NULL"),
        ),
    )

    id: str = id_field()
    organisation_id: str = ref_field("organisation.id")
    issuer: str = text_field(ISSUER_CHARS)
    client_id: str = text_field(CLIENT_ID_CHARS)
    auth_method: ProviderAuth = enum_field(ProviderAuth)
    sealed_credential: str = sealed_field("identity-provider:{id}")
    client_jwk: dict[str, Any] | None = json_field(nullable=True)
    role_claim: str | None = text_field(CLAIM_CHARS, nullable=True)
    roles: list[Any] = json_field()
    default_role: Role | None = enum_field(Role, nullable=True)
    password_allowed: bool = bool_field()
    announced: dict[str, Any] = json_field()
    announced_at: datetime = moment_field()
    signing_keys: dict[str, Any] = json_field()
    keys_at: datetime = moment_field()
    attached_at: datetime = moment_field()
    attached_by: str = text_field(32)
    detached_at: datetime | None = moment_field(nullable=True)
    detached_by: str | None = text_field(32, nullable=True)


class MailDomain(SQLModel, table=True):
    """A domain whose addresses an organisation says are its people's; it counts once confirmed.

    Anybody can claim any domain: only what was confirmed keeps others from it.
    """

    __tablename__ = "mail_domain"
    __table_args__ = (
        sa.CheckConstraint("(confirmed_at IS NULL) = (confirmed_by IS NULL)", name="confirmed_by"),
        sa.Index(
            "uq_mail_domain_confirmed",
            "domain",
            unique=True,
            sqlite_where=sa.text("confirmed_at IS NOT NULL"),
            postgresql_where=sa.text("confirmed_at IS NOT NULL"),
        ),
    )

    organisation_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("organisation.id"), primary_key=True)
    )
    domain: str = Field(sa_column=sa.Column(sa.String(DOMAIN_CHARS), primary_key=True))
    proof: str = text_field(43)
    claimed_at: datetime = moment_field()
    confirmed_at: datetime | None = moment_field(nullable=True)
    confirmed_by: str | None = text_field(32, nullable=True)


class KnownIdentity(SQLModel, table=True):
    """Under which subject an identity provider knows a person; for good."""

    __tablename__ = "known_identity"
    __table_args__ = (sa.UniqueConstraint("identity_provider_id", "person_id"),)

    identity_provider_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("identity_provider.id"), primary_key=True)
    )
    subject: str = Field(sa_column=sa.Column(sa.String(SUBJECT_CHARS), primary_key=True))
    person_id: str = ref_field("person.id")
    bound_at: datetime = moment_field()


class ProviderVisit(SQLModel, table=True):
    """A browser that was sent to an identity provider, named by the SHA-256 of its `state`.

    `query` is the client's request to which it comes back. What else the way back takes (nonce,
    code verifier) comes from the state and the browser's cookie, and stands nowhere.
    """

    __tablename__ = "provider_visit"

    state_sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    browser_sha256: str = text_field(SHA256_CHARS)
    identity_provider_id: str = ref_field("identity_provider.id")
    query: str = long_text_field()
    began_at: datetime = moment_field()
    lapses_at: datetime = moment_field(index=True)
    used_at: datetime | None = moment_field(nullable=True)
