"""Rows: token keys, delegations and what came of them, sign-ins and what was revoked."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.accounts.models import SHA256_CHARS
from app.db.columns import id_field, moment_field, ref_field, text_field
from app.db.sealed import sealed_field

SCOPE_CHARS = 1000
AMR_CHARS = 40


class TokenKey(SQLModel, table=True):
    """A key that signs access tokens; its private half is sealed, `kid` is its thumbprint."""

    __tablename__ = "token_key"

    kid: str = Field(sa_column=sa.Column(sa.String(43), primary_key=True))
    public_x: str = text_field(43)
    sealed_private: str = sealed_field("token-key:{kid}")
    created_at: datetime = moment_field(index=True)
    retired_at: datetime | None = moment_field(nullable=True)


class Delegation(SQLModel, table=True):
    """What a person has allowed a client, and the root of every token that came of it.

    `scope` is the most that its tokens may have. Once it is ended, none of them holds. It lapses
    with the last of its tokens, so `lapses_at` moves on as long as the client refreshes them.
    """

    __tablename__ = "delegation"

    id: str = id_field()
    client_id: str = ref_field("client.id")
    person_id: str = ref_field("person.id")
    scope: str = text_field(SCOPE_CHARS)
    authenticated_at: datetime = moment_field()
    session_sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), nullable=False))
    began_at: datetime = moment_field()
    lapses_at: datetime = moment_field(index=True)
    ended_at: datetime | None = moment_field(nullable=True, index=True)


class AuthorizationCode(SQLModel, table=True):
    """A code that a person's consent gave to a client: good once, for a minute.

    It is kept after its use, so that a second use is seen and ends the delegation.
    """

    __tablename__ = "authorization_code"

    sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    delegation_id: str = ref_field("delegation.id")
    redirect_uri: str = text_field(2000)
    code_challenge: str = text_field(43)
    lapses_at: datetime = moment_field(index=True)
    used_at: datetime | None = moment_field(nullable=True)


class RefreshToken(SQLModel, table=True):
    """A right to a fresh access token of a delegation: good once, and kept by its hash.

    It is kept after its use, so that a second use is seen and ends the delegation.
    """

    __tablename__ = "refresh_token"

    sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    delegation_id: str = ref_field("delegation.id")
    issued_at: datetime = moment_field()
    lapses_at: datetime = moment_field(index=True)
    used_at: datetime | None = moment_field(nullable=True)


class SignInSession(SQLModel, table=True):
    """A browser in which a person is signed in, named by the SHA-256 of its cookie.

    `amr` says how they proved themselves (RFC 8176 §2), `fed` that their identity provider did.
    """

    __tablename__ = "sign_in_session"

    sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    person_id: str = ref_field("person.id")
    amr: str = text_field(AMR_CHARS)
    started_at: datetime = moment_field()
    lapses_at: datetime = moment_field(index=True)
    ended_at: datetime | None = moment_field(nullable=True)


class SignInTries(SQLModel, table=True):
    """What is held against an email (whether or not anybody has it) or a visitor's address."""

    __tablename__ = "sign_in_tries"

    name_sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    clear_at: datetime = moment_field(index=True)
    blocked_until: datetime = moment_field()


class RevokedToken(SQLModel, table=True):
    """An access token that was taken back before it lapsed."""

    __tablename__ = "revoked_token"

    jti: str = Field(sa_column=sa.Column(sa.String(43), primary_key=True))
    revoked_at: datetime = moment_field()
    lapses_at: datetime = moment_field(index=True)
