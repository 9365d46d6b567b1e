"""Shapes of the token endpoint, as RFC 6749 and RFC 7009 name their members."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.http.examples import example_id, looks_like
from app.http.schemas import View

Scopes = Annotated[str, Meta(description="Separated by spaces.")]

Token = Annotated[str, Meta(examples=["eyJ0eXAiOiJhdCtqd3Qi…"])]
RefreshToken = Annotated[str, Meta(examples=["hF2mJq9sVx0dTn4wLs6Yh1gb5Jq2r8Vx0dTn4wLs6Yg"])]


class Form(msgspec.Struct, kw_only=True):
    """What a client sends as a form; a member that is not known is not looked at."""


@looks_like(grant_type="client_credentials", scope="listings:read data:read")
class TokenForm(Form):
    """A program proves itself by HTTP Basic, a public client by its code and `code_verifier`."""

    grant_type: Literal["authorization_code", "refresh_token", "client_credentials"]
    scope: Scopes | UnsetType = UNSET
    code: str | UnsetType = UNSET
    redirect_uri: str | UnsetType = UNSET
    code_verifier: str | UnsetType = UNSET
    refresh_token: RefreshToken | UnsetType = UNSET
    client_id: str | UnsetType = UNSET


class RevocationForm(Form):
    """The token to take back."""

    token: Token
    client_id: str | UnsetType = UNSET


@looks_like(
    expires_in=600,
    scope="listings:read data:read",
)
class TokenView(View):
    """A token, sent as `Authorization: Bearer …`; `scope` is what it was given."""

    access_token: Token
    token_type: Literal["Bearer"]
    expires_in: int
    scope: Scopes
    refresh_token: RefreshToken | UnsetType = UNSET


class IntrospectionForm(Form):
    """The token, access or refresh, that is asked about."""

    token: Token


@looks_like(
    active=True,
    scope="listings:read data:read",
    token_type="Bearer",  # noqa: S106 - a type's name
    client_id=example_id("cli"),
    sub=example_id("usr"),
    org=example_id("org"),
    exp=1_795_000_600,
    aud="https://zhigu.example.cn",
    iss="https://zhigu.example.cn",
)
class TokenFacts(View):
    """What a token is good for; a dead or foreign one has `active` only (RFC 7662 §2.2)."""

    active: bool
    scope: Scopes | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    org: str | UnsetType = UNSET
    aud: str | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    jti: str | UnsetType = UNSET


@looks_like(
    id=example_id("dlg"),
    client_name="Portal",
    scope="openid offline_access data:read",
)
class DelegationView(View):
    """What you have allowed a client; while it is active and refreshed, `lapses_at` moves on."""

    id: str
    client_id: str
    client_name: str
    scope: Scopes
    state: Literal["active", "ended"]
    began_at: datetime
    lapses_at: datetime
    ended_at: datetime | None


@looks_like(error="invalid_client", error_description="Client authentication failed.")
class OAuthError(View):
    """A refusal as OAuth clients expect it."""

    error: str
    error_description: str
