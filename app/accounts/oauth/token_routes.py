"""Routes that programs call: tokens, their revocation, keys and metadata."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import RawBody
from sqlmodel import Session

from app.accounts.oauth.codes import CodeReused
from app.accounts.oauth.introspecting import introspect
from app.accounts.oauth.metadata import AUTH_METHODS, CONFIDENTIAL, key_document, server_metadata
from app.accounts.oauth.parameters import (
    FORM,
    Parameters,
    ParametersUnreadable,
    is_form,
    must_be_plain,
    read_parameters,
)
from app.accounts.oauth.refreshing import RefreshTokenReused
from app.accounts.oauth.registered_clients import RegisteredClient
from app.accounts.oauth.revoking import revoke_token
from app.accounts.oauth.schemas import (
    IntrospectionForm,
    OAuthError,
    RevocationForm,
    TokenFacts,
    TokenForm,
    TokenView,
)
from app.accounts.oauth.server import OAuthAnswer, OAuthRequest, OAuthServer
from app.accounts.oauth.token_keys import public_keys
from app.db.installation import Installation
from app.http.describing import JSON
from app.http.documented import OPTION, Documented, Sample
from app.http.examples import WORDS
from app.http.request_state import state_of
from app.kernel.refusals import Refusal

TAGS = ["OAuth"]
OWN_RULES = {"own_authentication": True, "own_query": True, "exempt_from_idempotency": True}
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
AnyRequest = Request[Any, Any, Any]


OAUTH_ERRORS = {
    400: ResponseSpec(OAuthError, description="RFC 6749 §5.2: `error` says which rule was broken."),
    401: ResponseSpec(OAuthError, description="The client did not prove who it is."),
    413: ResponseSpec(OAuthError, description="The form is too large."),
}


def documented_form(form: Any, **others: Any) -> dict[str, Any]:
    """The options of an operation that takes a form."""
    told = Documented(takes={FORM: Sample(None, form)}, **others)
    return {**OWN_RULES, OPTION: told}


def used_before(request: AnyRequest, error: Refusal) -> Response[dict[str, Any]]:
    """The refusal as RFC 6749 §5.2 wants it; what it must remember is remembered all the same."""
    state_of(request.scope).refusal = error
    return _refused("invalid_grant", error.detail, 400)


def unreadable(_request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    """What Litestar itself refuses, such as a body that is too large, as RFC 6749 §5.2 wants it."""
    return _refused("invalid_request", "The request cannot be read.", error.status_code)


KEEPING: Any = {CodeReused: used_before, RefreshTokenReused: used_before, HTTPException: unreadable}


@post(
    "/oauth/token",
    sync_to_thread=True,
    status_code=200,
    opt=documented_form(
        TokenForm, gives={JSON: Sample(None, TokenView)}, answer="The token and how long it lasts."
    ),
    dto=None,
    tags=TAGS,
    security=[],
    exception_handlers=KEEPING,
    responses=OAUTH_ERRORS,
)
def post_token(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> Response[dict[str, Any]]:
    """An access token, by `client_credentials`, `authorization_code` or `refresh_token`.

    With the scope `offline_access` a code gives a refresh token too. It is good once: the answer
    brings the next, and a second use ends everything that the person has allowed the client here.
    """
    try:
        server = OAuthServer(session)
        asked = _form_request(server, request, "/oauth/token", body)
        answer = server.create_token_response(asked)
    except ParametersUnreadable as error:
        return _refused("invalid_request", f"{error}.", 400)
    except OAuth2Error as error:
        return _refused(str(error.error), str(error.get_error_description()), error.status_code)
    return _json(answer)


@post(
    "/oauth/revoke",
    sync_to_thread=True,
    status_code=200,
    opt=documented_form(
        RevocationForm,
        gives={JSON: Sample({}, dict[str, Any])},
        answer="The token is gone, or never was.",
    ),
    dto=None,
    tags=TAGS,
    security=[],
    exception_handlers=KEEPING,
    responses=OAUTH_ERRORS,
)
def post_revoke(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> Response[dict[str, Any]]:
    """Take back a token of the client that asks (RFC 7009); any other counts as gone.

    An access token ends alone, a refresh token with every token of the same consent.
    """
    found = _ask(request, session, "/oauth/revoke", body, AUTH_METHODS)
    if isinstance(found, Response):
        return found
    client, asked = found
    token = asked.form.get("token")
    if token is None:
        return _refused("invalid_request", "Missing 'token' in request.", 400)
    revoke_token(session, client.row, token)
    return Response({}, status_code=200, headers=NO_STORE)


@post(
    "/oauth/introspect",
    sync_to_thread=True,
    status_code=200,
    opt=documented_form(
        IntrospectionForm,
        gives={JSON: Sample(None, TokenFacts)},
        answer="What the token is good for; just `active: false` if for nothing.",
    ),
    dto=None,
    tags=TAGS,
    security=[],
    exception_handlers={HTTPException: unreadable},
    responses=OAUTH_ERRORS,
)
def post_introspect(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> Response[dict[str, Any]]:
    """What a token is good for now (RFC 7662), for a client that proves itself.

    It learns of its own tokens and of those that act for its organisation; others look dead.
    """
    found = _ask(request, session, "/oauth/introspect", body, CONFIDENTIAL)
    if isinstance(found, Response):
        return found
    client, asked = found
    token = asked.form.get("token")
    if token is None:
        return _refused("invalid_request", "Missing 'token' in request.", 400)
    return Response(introspect(session, client, token), status_code=200, headers=NO_STORE)


KEY_SET = "application/jwk-set+json"
KEYS = Sample({"keys": [{**WORDS["jwk"], "kid": WORDS["kid"], "use": "sig"}]}, dict[str, Any])
METADATA = Sample(server_metadata("https://zhigu.example.cn"), dict[str, Any])


@get(
    "/oauth/jwks",
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    opt={OPTION: Documented(gives={KEY_SET: KEYS}, answer="A JSON Web Key Set (RFC 7517).")},
)
def get_jwks(session: NamedDependency[Session]) -> Response[dict[str, Any]]:
    """The keys that access tokens are signed by."""
    return Response(
        key_document(public_keys(session)),
        media_type=KEY_SET,
        headers={"Cache-Control": "public, max-age=300"},
    )


@get(
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
    sync_to_thread=False,
    tags=TAGS,
    security=[],
    opt={
        "no_transaction": True,
        OPTION: Documented(gives={JSON: METADATA}, answer="The server's metadata."),
    },
)
def get_metadata(installation: NamedDependency[Installation]) -> Response[dict[str, Any]]:
    """What this authorization server offers (RFC 8414)."""
    return Response(
        server_metadata(installation.settings.public_url),
        headers={"Cache-Control": "public, max-age=300"},
    )


def _form_request(server: OAuthServer, request: AnyRequest, path: str, body: bytes) -> OAuthRequest:
    if not is_form(request.headers.get("content-type")):
        raise ParametersUnreadable(f"send {FORM}")
    if request.scope["query_string"]:
        raise ParametersUnreadable("parameters belong in the body")
    parameters: Parameters = read_parameters(body)
    must_be_plain(parameters)
    return server.request("POST", path, parameters, dict(request.headers.items()))


def _ask(
    request: AnyRequest, session: Session, path: str, body: bytes, methods: list[str]
) -> tuple[RegisteredClient, OAuthRequest] | Response[dict[str, Any]]:
    """The client that asks by one of `methods`, and its parameters; else the refusal."""
    server = OAuthServer(session)
    try:
        asked = _form_request(server, request, path, body)
    except ParametersUnreadable as error:
        return _refused("invalid_request", f"{error}.", 400)
    try:
        return server.authenticate_client(asked, methods, path.rpartition("/")[2]), asked
    except OAuth2Error as error:
        return _json(server.refuse(asked, error))


def _json(answer: OAuthAnswer) -> Response[dict[str, Any]]:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
    return Response(dict(answer.body), status_code=answer.status, headers={**headers, **NO_STORE})


def _refused(error: str, description: str, status: int) -> Response[dict[str, Any]]:
    return Response(
        {"error": error, "error_description": description}, status_code=status, headers=NO_STORE
    )


TOKEN_ROUTES = (post_token, post_revoke, post_introspect, get_jwks, get_metadata)
