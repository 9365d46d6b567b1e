"""Shapes of the token endpoint, as RFC 6749 and RFC 7009 name their members."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.accounts.states import AuthMethod, GrantType
from app.http.examples import example_id, looks_like
from app.http.schemas import Line, View

Scopes = Annotated[str, Meta(description="Separated by spaces.")]

Token = Annotated[str, Meta(examples=["eyJ0eXAiOiJhdCtqd3Qi…"])]
RefreshToken = Annotated[str, Meta(examples=["hF2mJq9sVx0dTn4wLs6Yh1gb5Jq2r8Vx0dTn4wLs6Yg"])]

AssertionType = Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
Assertion = Annotated[str, Meta(examples=["eyJhbGciOiJFUzI1NiJ9…"])]


class Form(msgspec.Struct, kw_only=True):
    """What a client sends as a form; a member that is not known is not looked at."""

    client_id: str | UnsetType = UNSET
    client_assertion_type: AssertionType | UnsetType = UNSET
    client_assertion: Assertion | UnsetType = UNSET


@looks_like(grant_type="client_credentials", scope="listings:read data:read")
class TokenForm(Form):
    """By what a token is asked for.

    A client proves itself by HTTP Basic, or by `client_assertion`: a JWT that it has signed with
    its own key, for this server, good once and for ten minutes at most (RFC 7523).
    """

    grant_type: Literal["authorization_code", "refresh_token", "client_credentials"]
    scope: Scopes | UnsetType = UNSET
    code: str | UnsetType = UNSET
    redirect_uri: str | UnsetType = UNSET
    code_verifier: str | UnsetType = UNSET
    refresh_token: RefreshToken | UnsetType = UNSET


class RevocationForm(Form):
    """The token to take back."""

    token: Token


@looks_like(
    client_name="nightly import",
    redirect_uris=["https://app.example.cn/callback"],
    scope="listings:read data:read",
)
class ClientMetadata(msgspec.Struct, kw_only=True):
    """What a client is to be, in the words of RFC 7591 §2; other members are not looked at."""

    client_name: Line
    redirect_uris: Annotated[tuple[str, ...], Meta(max_length=10)] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105 - a method's name
    scope: Scopes = "listings:read"
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None


@looks_like(
    client_id=example_id("cli"),
    client_id_issued_at=1_795_000_000,
    client_secret_expires_at=0,
    client_name="nightly import",
    redirect_uris=["https://app.example.cn/callback"],
    grant_types=["authorization_code"],
    response_types=["code"],
    scope="listings:read data:read",
)
class RegisteredMetadata(View):
    """The client as it was registered; its secret, which does not lapse, is shown this once."""

    client_id: str
    client_id_issued_at: int
    client_name: str
    redirect_uris: list[str]
    grant_types: list[GrantType]
    response_types: list[str]
    token_endpoint_auth_method: AuthMethod
    scope: Scopes
    client_secret: str | UnsetType = UNSET
    client_secret_expires_at: int | UnsetType = UNSET
    jwks: dict[str, Any] | UnsetType = UNSET


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
