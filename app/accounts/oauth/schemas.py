"""Shapes of the token endpoint, as RFC 6749 and RFC 7009 name their members."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.http.examples import looks_like
from app.http.schemas import View

Scopes = Annotated[str, Meta(description="Separated by spaces.")]

Token = Annotated[str, Meta(examples=["eyJ0eXAiOiJhdCtqd3Qi…"])]


class Form(msgspec.Struct, kw_only=True):
    """What a client sends as a form; a member that is not known is not looked at."""


@looks_like(grant_type="client_credentials", scope="listings:read data:read")
class TokenForm(Form):
    """A program proves itself by HTTP Basic, a public client by its code and `code_verifier`."""

    grant_type: Literal["authorization_code", "client_credentials"]
    scope: Scopes | UnsetType = UNSET
    code: str | UnsetType = UNSET
    redirect_uri: str | UnsetType = UNSET
    code_verifier: str | UnsetType = UNSET
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


@looks_like(error="invalid_client", error_description="Client authentication failed.")
class OAuthError(View):
    """A refusal as OAuth clients expect it."""

    error: str
    error_description: str
