"""Visiting: a browser that brings a client's request to one of our pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error
from litestar import Request, Response
from litestar.datastructures import Cookie
from sqlmodel import Session

from app.accounts.models import Person
from app.accounts.oauth.cookies import Cookies
from app.accounts.oauth.models import SignInSession
from app.accounts.oauth.pages import render_page
from app.accounts.oauth.parameters import (
    Parameters,
    ParametersUnreadable,
    is_form,
    must_be_plain,
    read_parameters,
)
from app.accounts.oauth.registered_clients import RegisteredClient
from app.accounts.oauth.server import OAuthServer
from app.accounts.oauth.signing_in import find_person, find_session, hold_person
from app.accounts.oauth.wording import Language, choose_language
from app.db.installation import Installation
from app.http.problems import UnsupportedMediaType
from app.http.request_state import state_of
from app.kernel.refusals import Malformed

AnyRequest = Request[Any, Any, Any]
Page = Response[Any]


@dataclass(frozen=True)
class Visit:
    """A browser with a client's request that holds: what every page needs to know."""

    request: AnyRequest
    server: OAuthServer
    grant: Any
    query: str
    language: Language
    cookies: Cookies

    @property
    def session(self) -> Session:
        """The transaction of this request."""
        return self.server.session

    @property
    def client(self) -> RegisteredClient:
        """The client that asks."""
        client = self.grant.request.client
        assert isinstance(client, RegisteredClient)
        return client

    @property
    def redirect_uri(self) -> str:
        """The registered address to which the answer goes."""
        return str(self.grant.redirect_uri)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, if the browser sent it."""
        return self.request.cookies.get(name)

    def person(self) -> Person | None:
        """Who is signed in in this browser."""
        return find_person(self.session, self.cookie(self.cookies.session_name))

    def held_person(self) -> Person | None:
        """The same, who stays signed in until this transaction ends."""
        return hold_person(self.session, self.cookie(self.cookies.session_name))

    def signed_in(self) -> SignInSession | None:
        """How they are."""
        return find_session(self.session, self.cookie(self.cookies.session_name))


def visit_of(request: AnyRequest, session: Session, installation: Installation) -> Visit | Page:
    """The visit, if the client's request holds; else where that leads: a page, or the client."""
    language = choose_language(request.headers.get("accept-language"))
    try:
        parameters = read_parameters(request.scope["query_string"])
        must_be_plain(parameters)
        server = OAuthServer(session)
        headers = dict(request.headers.items())
        asked = server.request("GET", "/oauth/authorize", parameters, headers)
    except (ParametersUnreadable, OAuth2Error):
        return _failed(request, language)
    try:
        grant = server.get_consent_grant(asked)
    except OAuth2Error as error:
        location = server.refuse(asked, error).location
        return _failed(request, language) if location is None else go_to(location)
    query = urlencode(parameters.values)
    return Visit(request, server, grant, query, language, cookies_of(installation))


def go_to(location: str | None, *cookies: Cookie) -> Page:
    """The browser is sent to `location`, one of ours or the client's registered address."""
    assert location is not None, "an answer at the authorization endpoint is a redirect"
    headers = {"Location": location, "Cache-Control": "no-store"}
    # 303: a browser must not send the form on to the client (RFC 9700 §4.12).
    return Response("", status_code=303, headers=headers, cookies=list(cookies))


def cookies_of(installation: Installation) -> Cookies:
    """The cookies of this installation: secure ones if it is reached by TLS."""
    return Cookies(secure=installation.settings.public_url.startswith("https://"))


def read_form(request: AnyRequest, body: bytes) -> Parameters:
    """The fields of a form of ours."""
    if not is_form(request.headers.get("content-type")):
        raise UnsupportedMediaType("Send the form of the page.")
    try:
        return read_parameters(body)
    except ParametersUnreadable as error:
        raise Malformed(f"The form cannot be read: {error}.") from error


def _failed(request: AnyRequest, language: Language) -> Page:
    request_id = state_of(request.scope).request_id
    return render_page("failed", language, {"request_id": request_id}, status=400)
