"""The authorization server: Authlib's, within one request's transaction.

Authlib decides by RFC 6749, 7636 and 6750; rows, clock, secrets and tokens are ours. One is made
for each request, so nothing is shared between threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlmodel import Session

from app.accounts.models import Organisation, Person
from app.accounts.oauth.assertions import ASSERTION_TYPE, check_assertion
from app.accounts.oauth.codes import allowed_scopes, may_serve
from app.accounts.oauth.delegating import prolong_for_token
from app.accounts.oauth.grants import OnlyS256, OwnCredentials, PersonsCode, Refreshed
from app.accounts.oauth.issuing import Bearer, issue_token
from app.accounts.oauth.models import Delegation
from app.accounts.oauth.parameters import Parameters
from app.accounts.oauth.refreshing import new_refresh_token
from app.accounts.oauth.registered_clients import (
    QueryClient,
    RegisteredClient,
    by_nothing,
    by_secret_basic,
    find_client,
)
from app.accounts.oauth.signed_texts import read_signed
from app.accounts.oauth.spending import OneUse, spend
from app.accounts.oauth.tokens import LIFE_S
from app.accounts.scopes import OFFLINE_ACCESS, PERSONAL_SCOPES, SCOPES
from app.accounts.states import GrantType
from app.db.installation import installation_of
from app.db.session import now
from app.kernel.clock import epoch_us
from app.kernel.jwk import JoseInvalid

PERSONAL = frozenset(PERSONAL_SCOPES)


@dataclass(frozen=True)
class OAuthAnswer:
    """What goes back: a JSON body, or a redirect to `location`."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def location(self) -> str | None:
        """Where the browser is sent, if it is."""
        return self.headers.get("Location")


class OAuthRequest(OAuth2Request):  # type: ignore[misc]  # Authlib is untyped
    """A request whose parameters have been read: the query at one endpoint, the form at another."""

    def __init__(
        self, method: str, uri: str, parameters: Parameters, headers: Mapping[str, str]
    ) -> None:
        super().__init__(method, uri, headers=headers)
        self._parameters = dict(parameters.values)
        self.payload = BasicOAuth2Payload(self._parameters)

    @property
    def form(self) -> dict[str, str]:
        """The parameters."""
        return self._parameters


class OAuthServer(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's server on `session`.

    `delegation` is what a person's token is given on, `spent` what was signed for this request.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(scopes_supported=(*PERSONAL_SCOPES, *SCOPES))
        self.session = session
        self.issuer = installation_of(session).settings.public_url
        self.delegation: Delegation | None = None
        self.spent: list[OneUse] = []
        self.register_client_auth_method("client_secret_basic", by_secret_basic)
        self.register_client_auth_method("private_key_jwt", self._by_own_key)
        self.register_client_auth_method("none", by_nothing)
        self.register_token_generator("default", self._new_token)
        self.register_grant(OwnCredentials)
        self.register_grant(PersonsCode, [OnlyS256()])
        self.register_grant(Refreshed)

    def request(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        headers: Mapping[str, str],
    ) -> OAuthRequest:
        """The request as Authlib takes it. RFC 6749 §3.1: without TLS, it works on loopback only.

        What counts is the public address, for TLS may end before us.
        """
        return OAuthRequest(method, self.issuer + path, parameters, headers)

    def query_client(self, client_id: str) -> RegisteredClient | None:
        """A live client."""
        return find_client(self.session, client_id)

    def authenticate_client(
        self, request: OAuthRequest, methods: Any, endpoint: str = "token"
    ) -> RegisteredClient:
        """The client that proves itself by one of `methods`; all failures look the same."""
        try:
            client = super().authenticate_client(request, methods, endpoint)
        except InvalidClientError as error:
            raise InvalidClientError("Client authentication failed.", status_code=401) from error
        assert isinstance(client, RegisteredClient)
        return client

    def save_token(self, token: Any, request: OAuthRequest) -> None:
        """Nothing: a token is its own record."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """It is one already."""
        return request

    def handle_response(
        self, status: int, body: Any, headers: list[tuple[str, str]]
    ) -> OAuthAnswer:
        """The answer, with `iss` in every redirect (RFC 9207)."""
        found = dict(headers)
        if "Location" in found:
            found["Location"] = add_params_to_uri(found["Location"], [("iss", self.issuer)])
        if status == 401:
            found["WWW-Authenticate"] = 'Basic realm="zhigu", charset="UTF-8"'
        return OAuthAnswer(status, found, body if isinstance(body, dict) else {})

    def refuse(self, request: OAuthRequest, error: OAuth2Error) -> OAuthAnswer:
        """The answer that tells of `error`."""
        answer = self.handle_error_response(request, error)
        assert isinstance(answer, OAuthAnswer)
        return answer

    def person_behind(self, delegation: Delegation, serving: Organisation) -> Person | None:
        """The person for whom a token is about to be given on this live delegation.

        None if they, their organisation or their right to a client of `serving` has gone.
        """
        person: Person = self.session.get_one(Person, delegation.person_id)
        organisation = self.session.get_one(Organisation, person.organisation_id)
        if person.removed_at is not None or organisation.suspended_at is not None:
            return None
        if not may_serve(serving, person):
            return None
        self.delegation = delegation
        return person

    def _by_own_key(self, query_client: QueryClient, request: Any) -> RegisteredClient | None:
        """The client whose assertion the form holds; else None, whatever failed."""
        form = request.form
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_secret" in form:
            return None
        if "authorization" in request.headers:
            return None
        now_s = epoch_us(now(self.session)) // 1_000_000
        try:
            signed = read_signed(form.get("client_assertion", ""))
            client = query_client(signed.text("sub"))
            if client is None or form.get("client_id", client.row.id) != client.row.id:
                return None
            audiences = {self.issuer, request.uri, f"{self.issuer}/oauth/token"}
            found = check_assertion(signed, client.keys(), client.row.id, audiences, now_s)
        except JoseInvalid:
            return None
        use = OneUse("assertion", client.row.id, found.jti, found.lapses_at_s)
        self.spent.append(use)
        return client if spend(self.session, use) else None

    def _new_token(
        self,
        grant_type: str,
        client: RegisteredClient,
        user: Person | None = None,
        scope: str | None = None,
        **_unused: Any,
    ) -> dict[str, object]:
        if user is None:
            return self._token(_own_bearer(client, scope))
        delegation = self.delegation
        assert delegation is not None
        assert delegation.person_id == user.id
        scopes = allowed_scopes(client.row, user, scope or "")
        if not scopes:
            raise InvalidScopeError("The role of this person allows none of these scopes.")
        given = self._token(_persons_bearer(client, user, scopes, delegation))
        prolong_for_token(self.session, delegation)
        goes_on = OFFLINE_ACCESS in delegation.scope.split()
        if goes_on and client.check_grant_type(GrantType.REFRESH_TOKEN):
            given["refresh_token"] = new_refresh_token(self.session, delegation)
        return given

    def _token(self, bearer: Bearer) -> dict[str, object]:
        issued = issue_token(self.session, bearer)
        return {
            "access_token": issued.text,
            "token_type": "Bearer",
            "expires_in": LIFE_S,
            "scope": issued.scope,
        }


def _own_bearer(client: RegisteredClient, scope: str | None) -> Bearer:
    granted = client.get_allowed_scope(scope)
    if granted is None or PERSONAL.intersection(granted.split()):
        raise InvalidScopeError("The client does not have all of these scopes.")
    return Bearer(
        subject=client.row.id,
        client_id=client.row.id,
        organisation_id=client.row.organisation_id,
        scopes=granted.split(),
        roles=client.row.roles,
    )


def _persons_bearer(
    client: RegisteredClient, person: Person, scopes: list[str], delegation: Delegation
) -> Bearer:
    return Bearer(
        subject=person.id,
        client_id=client.row.id,
        organisation_id=person.organisation_id,
        scopes=scopes,
        roles=[person.role.value],
        delegation_id=delegation.id,
    )
