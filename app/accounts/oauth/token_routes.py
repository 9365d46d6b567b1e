"""Routes that programs call: tokens, their revocation, keys and metadata."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from sqlmodel import Session

from app.accounts.oauth.form_endpoints import (
    OAUTH_ERRORS,
    UNREADABLE,
    AnyRequest,
    FormAnswer,
    answer_form,
    documented_form,
)
from app.accounts.oauth.introspecting import introspect
from app.accounts.oauth.metadata import AUTH_METHODS, CONFIDENTIAL, key_document, server_metadata
from app.accounts.oauth.revoking import revoke_token
from app.accounts.oauth.schemas import (
    IntrospectionForm,
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

TAGS = ["OAuth"]


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
    exception_handlers=UNREADABLE,
    responses=OAUTH_ERRORS,
)
def post_token(request: AnyRequest, body: RawBody, session: NamedDependency[Session]) -> FormAnswer:
    """An access token, by `client_credentials`, `authorization_code` or `refresh_token`.

    The client proves itself by HTTP Basic or `private_key_jwt`; a public one has its code and
    `code_verifier`. With the scope `offline_access` a code gives a refresh token too. It is good
    once: the answer brings the next, and a second use ends everything that the person has allowed
    the client here.
    """
    return answer_form(request, session, body, OAuthServer.create_token_response)


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
    exception_handlers=UNREADABLE,
    responses=OAUTH_ERRORS,
)
def post_revoke(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> FormAnswer:
    """Take back a token of the client that asks (RFC 7009); any other counts as gone.

    An access token ends alone, a refresh token with every token of the same consent.
    """

    def act(server: OAuthServer, asked: OAuthRequest) -> OAuthAnswer:
        client = server.authenticate_client(asked, AUTH_METHODS, "revocation")
        revoke_token(session, client.row, _token_in(asked))
        return OAuthAnswer(200, {}, {})

    return answer_form(request, session, body, act)


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
    exception_handlers=UNREADABLE,
    responses=OAUTH_ERRORS,
)
def post_introspect(
    request: AnyRequest, body: RawBody, session: NamedDependency[Session]
) -> FormAnswer:
    """What a token is good for now (RFC 7662), for a client that proves itself.

    It learns of its own tokens and of those that act for its organisation; others look dead.
    """

    def act(server: OAuthServer, asked: OAuthRequest) -> OAuthAnswer:
        client = server.authenticate_client(asked, CONFIDENTIAL, "introspection")
        return OAuthAnswer(200, {}, introspect(session, client, _token_in(asked)))

    return answer_form(request, session, body, act)


def _token_in(asked: OAuthRequest) -> str:
    token = asked.form.get("token")
    if token is None:
        raise InvalidRequestError("Missing 'token' in request.")
    return token


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


TOKEN_ROUTES = (post_token, post_revoke, post_introspect, get_jwks, get_metadata)
