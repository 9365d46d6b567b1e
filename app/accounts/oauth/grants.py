"""The two grants, on Authlib's flows: client credentials, and authorization code with PKCE S256."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from app.accounts.models import Organisation, Person
from app.accounts.oauth.codes import (
    Consent,
    allowed_scopes,
    find_code,
    may_serve,
    new_code,
    spend_code,
)
from app.accounts.oauth.models import AuthorizationCode
from app.accounts.oauth.registered_clients import RegisteredClient

S256_CHARS = 43


class OwnCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib is untyped
    """A client acts for its own organisation."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)


class PersonsCode(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """A client acts for a person who has signed in and agreed."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "none")

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: RegisteredClient) -> str:
        """The registered address that the request names; it must name one (RFC 9700 §4.1.3)."""
        redirect_uri = request.payload.redirect_uri
        if not redirect_uri or not client.check_redirect_uri(redirect_uri):
            raise InvalidRequestError("The redirect_uri is not registered for this client.")
        return str(redirect_uri)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Kept by `generate_authorization_code`, which knows the same."""

    def generate_authorization_code(self) -> str:
        """A code for what the person at the page has agreed to."""
        request, client, person = self.request, self.request.client.row, self.request.user
        scopes = allowed_scopes(client, person, request.scope)
        if not scopes:
            raise InvalidScopeError(
                "The role of this person allows none of these scopes.",
                redirect_uri=request.payload.redirect_uri,
            )
        return new_code(
            self.server.session,
            Consent(
                client=client,
                person=person,
                redirect_uri=request.payload.redirect_uri,
                scope=" ".join(scopes),
                code_challenge=request.payload.data["code_challenge"],
            ),
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> GivenCode | None:
        """The client's own code while it lasts."""
        row = find_code(self.server.session, code, client.row.id)
        return None if row is None else GivenCode(row)

    def authenticate_user(self, authorization_code: GivenCode) -> Person | None:
        """The person who agreed, if they are still there and may still use the client."""
        session = self.server.session
        person: Person | None = session.get(Person, authorization_code.row.person_id)
        if person is None or person.removed_at is not None:
            return None
        organisation = session.get(Organisation, person.organisation_id)
        if organisation.suspended_at is not None:
            return None
        return person if may_serve(self.request.client.organisation, person) else None

    def delete_authorization_code(self, authorization_code: GivenCode) -> None:
        """Mark it used; it stays, so that a second use is seen."""
        issued = self.server.issued
        assert issued is not None, "a code is spent on a token"
        spend_code(self.server.session, authorization_code.row, issued.jti)


class GivenCode:
    """What Authlib asks of a code, answered from its row."""

    code_challenge_method = "S256"

    def __init__(self, row: AuthorizationCode) -> None:
        self.row = row
        self.code_challenge = row.code_challenge

    def get_redirect_uri(self) -> str:
        """The address that it was sent to."""
        return self.row.redirect_uri

    def get_scope(self) -> str:
        """What the person agreed to."""
        return self.row.scope


class OnlyS256(CodeChallenge):  # type: ignore[misc]  # Authlib is untyped
    """PKCE for every client, and never `plain` (RFC 9700 §2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse a request without a challenge by S256."""
        data = grant.request.payload.data
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with code_challenge_method S256 is required.")
        if len(data.get("code_challenge", "")) != S256_CHARS:
            raise InvalidRequestError("An S256 code_challenge has 43 characters.")
        super().validate_code_challenge(grant, redirect_uri)
