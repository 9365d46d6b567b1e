"""What Authlib asks of a client, answered from our rows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import ClientMixin
from sqlmodel import Session

from app.accounts.client_keys import ClientKey, read_key_set
from app.accounts.enrolling import secret_fits
from app.accounts.models import Client, Organisation
from app.accounts.scopes import PERSONAL_SCOPES, in_order, scope_text
from app.kernel.ids import kind_of

OTHER_PROOFS = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
"""Members of a form by which a client proves itself: one way at a time (RFC 6749 §2.3)."""

QueryClient = Callable[[str], "RegisteredClient | None"]


class RegisteredClient(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """A live client of a live organisation."""

    def __init__(self, row: Client, organisation: Organisation) -> None:
        self.row = row
        self.organisation = organisation

    def get_client_id(self) -> str:
        """Its id."""
        return self.row.id

    def get_default_redirect_uri(self) -> str | None:
        """None: every request names its address."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scopes asked for, or all that the client has; None when it has not all of them."""
        if not scope:
            return scope_text(self.row.scopes)
        wanted = scope.split(" ")
        if not set(wanted) <= {*self.row.scopes, *PERSONAL_SCOPES}:
            return None
        return scope_text(wanted)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether this very address is registered, byte for byte."""
        return redirect_uri in self.row.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether this is the client's secret."""
        return secret_fits(self.row, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether the client proves itself in this way, which is the same at every endpoint."""
        return self.row.auth_method.value == method

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """What it was made for."""
        return grant_type in self.row.grant_types

    def keys(self) -> Sequence[ClientKey]:
        """The keys by which it proves itself, if it does so by keys."""
        return () if self.row.jwks is None else read_key_set(self.row.jwks)

    def scopes(self) -> list[str]:
        """Every scope that it has, in order."""
        return in_order(self.row.scopes)


def find_client(session: Session, client_id: str) -> RegisteredClient | None:
    """The client, unless it or its organisation has been stopped."""
    # Only what can be an id is asked of the store: the text comes from outside.
    row = session.get(Client, client_id) if kind_of(client_id) == "cli" else None
    if row is None or row.revoked_at is not None:
        return None
    organisation = session.get(Organisation, row.organisation_id)
    if organisation is None or organisation.suspended_at is not None:
        return None
    return RegisteredClient(row, organisation)


def by_secret_basic(query_client: QueryClient, request: Any) -> RegisteredClient | None:
    """The client that HTTP Basic names and proves (RFC 6749 §2.3.1); else None, whatever failed."""
    credentials = basic_credentials(request.headers)
    if credentials is None or OTHER_PROOFS.intersection(request.form):
        return None
    client_id, secret = credentials
    if request.form.get("client_id", client_id) != client_id:
        return None
    client = query_client(client_id)
    fits = secret_fits(client.row if client else None, secret)
    return client if fits else None


def by_nothing(query_client: QueryClient, request: Any) -> RegisteredClient | None:
    """The public client that the form names, when nobody tries to prove anything."""
    client_id = request.form.get("client_id")
    if not client_id or OTHER_PROOFS.intersection(request.form):
        return None
    return None if "authorization" in request.headers else query_client(client_id)


def basic_credentials(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Id and secret of a well-formed `Authorization: Basic`; else None."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = (
            base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        )
    except ValueError:
        return None
    return (unquote_plus(name), unquote_plus(secret)) if colon else None
