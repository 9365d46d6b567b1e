"""The grant types, on Authlib's flows: client credentials, code with PKCE, and refresh."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7636 import CodeChallenge

from app.accounts.models import Person
from app.accounts.oauth.codes import Consent, allowed_scopes, find_code, new_code, spend_code
from app.accounts.oauth.metadata import AUTH_METHODS, CONFIDENTIAL
from app.accounts.oauth.models import AuthorizationCode, Delegation, RefreshToken, SignInSession
from app.accounts.oauth.refreshing import find_refresh_token, spend_refresh_token
from app.accounts.oauth.registered_clients import RegisteredClient

S256_CHARS = 43


class OwnCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib is untyped
    """A client acts for its own organisation."""

    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL


class PersonsCode(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """A client acts for a person who has signed in and agreed."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

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
        request, client, session = self.request, self.request.client.row, self.server.session
        signed_in: SignInSession = request.user
        scopes = allowed_scopes(client, session.get_one(Person, signed_in.person_id), request.scope)
        if not scopes:
            raise InvalidScopeError(
                "The role of this person allows none of these scopes.",
                redirect_uri=request.payload.redirect_uri,
            )
        return new_code(
            session,
            Consent(
                client=client,
                signed_in=signed_in,
                redirect_uri=request.payload.redirect_uri,
                scope=" ".join(scopes),
                code_challenge=request.payload.data["code_challenge"],
            ),
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> GivenCode | None:
        """The client's own code while it lasts."""
        found = find_code(self.server.session, code, client.row.id)
        return None if found is None else GivenCode(*found)

    def authenticate_user(self, authorization_code: GivenCode) -> Person | None:
        """The person who agreed, if they are still there and may still use the client."""
        serving = self.request.client.organisation
        person: Person | None = self.server.person_behind(authorization_code.delegation, serving)
        return person

    def delete_authorization_code(self, authorization_code: GivenCode) -> None:
        """Mark it used; it stays, so that a second use is seen."""
        spend_code(self.server.session, authorization_code.row)


class Refreshed(RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
    """A client goes on acting for a person; each refresh token is good once (RFC 9700 §2.2.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> GivenRefreshToken | None:
        """The client's own refresh token while it lasts."""
        found = find_refresh_token(self.server.session, refresh_token, self.request.client.row.id)
        return None if found is None else GivenRefreshToken(*found)

    def authenticate_user(self, refresh_token: GivenRefreshToken) -> Person:
        """The person who agreed, if they are still there and may still use the client."""
        serving = self.request.client.organisation
        person: Person | None = self.server.person_behind(refresh_token.delegation, serving)
        if person is None:
            raise InvalidGrantError("The person may not use this client any more.")
        return person

    def revoke_old_credential(self, refresh_token: GivenRefreshToken) -> None:
        """Mark it used; it stays, so that a second use is seen."""
        spend_refresh_token(self.server.session, refresh_token.row)


class GivenCode:
    """What Authlib asks of a code, answered from its rows."""

    code_challenge_method = "S256"

    def __init__(self, row: AuthorizationCode, delegation: Delegation) -> None:
        self.row = row
        self.delegation = delegation
        self.code_challenge = row.code_challenge

    def get_redirect_uri(self) -> str:
        """The address that it was sent to."""
        return self.row.redirect_uri

    def get_scope(self) -> str:
        """What the person agreed to."""
        return self.delegation.scope


class GivenRefreshToken:
    """What Authlib asks of a refresh token, answered from its rows."""

    def __init__(self, row: RefreshToken, delegation: Delegation) -> None:
        self.row = row
        self.delegation = delegation

    def check_client(self, client: RegisteredClient) -> bool:
        """Whether it was given to this client."""
        return self.delegation.client_id == client.row.id

    def get_scope(self) -> str:
        """What the person agreed to."""
        return self.delegation.scope


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
