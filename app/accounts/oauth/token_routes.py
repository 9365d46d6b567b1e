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
from app.accounts.oauth.metadata import key_document, server_metadata
from app.accounts.oauth.parameters import (
    FORM,
    Parameters,
    ParametersUnreadable,
    is_form,
    must_be_plain,
    read_parameters,
)
from app.accounts.oauth.revoking import revoke_token
from app.accounts.oauth.schemas import OAuthError, RevocationForm, TokenForm, TokenView
from app.accounts.oauth.server import OAuthAnswer, OAuthRequest, OAuthServer
from app.accounts.oauth.token_keys import public_keys
from app.db.installation import Installation
from app.http.describing import JSON
from app.http.documented import OPTION, Documented, Sample
from app.http.examples import WORDS
from app.http.request_state import state_of

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


def code_reused(request: AnyRequest, error: CodeReused) -> Response[dict[str, Any]]:
    """The refusal as RFC 6749 §5.2 wants it; what it must remember is remembered all the same."""
    state_of(request.scope).refusal = error
    return _refused("invalid_grant", error.detail, 400)


def unreadable(_request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    """What Litestar itself refuses, such as a body that is too large, as RFC 6749 §5.2 wants it."""
    return _refused("invalid_request", "The request cannot be read.", error.status_code)


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
    exception_handlers={CodeReused: code_reused, HTTPException: unreadable},
    responses=OAUTH_ERRORS,
)
def post_token(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> Response[dict[str, Any]]:
    """An access token: `client_credentials` by HTTP Basic, or `authorization_code` with PKCE."""
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
    exception_handlers={CodeReused: code_reused, HTTPException: unreadable},
    responses=OAUTH_ERRORS,
)
def post_revoke(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> Response[dict[str, Any]]:
    """Take back an access token of the client that asks (RFC 7009); any other counts as gone."""
    try:
        server = OAuthServer(session)
        asked = _form_request(server, request, "/oauth/revoke", body)
        client = server.authenticate_client(asked, ["client_secret_basic", "none"], "revocation")
    except ParametersUnreadable as error:
        return _refused("invalid_request", f"{error}.", 400)
    except OAuth2Error as error:
        return _json(server.refuse(asked, error))
    token = asked.form.get("token")
    if token is None:
        return _refused("invalid_request", "Missing 'token' in request.", 400)
    revoke_token(session, client.row, token)
    return Response({}, status_code=200, headers=NO_STORE)


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


def _json(answer: OAuthAnswer) -> Response[dict[str, Any]]:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
    return Response(dict(answer.body), status_code=answer.status, headers={**headers, **NO_STORE})


def _refused(error: str, description: str, status: int) -> Response[dict[str, Any]]:
    return Response(
        {"error": error, "error_description": description}, status_code=status, headers=NO_STORE
    )


TOKEN_ROUTES = (post_token, post_revoke, get_jwks, get_metadata)
