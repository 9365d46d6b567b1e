"""Routes: a client is registered in the words of RFC 7591, by whoever may make clients."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import RawBody
from sqlmodel import Session

from app.accounts.enrolling import ClientWish, enrol_client
from app.accounts.errors import RedirectUriInvalid
from app.accounts.models import Client
from app.accounts.oauth.form_endpoints import NO_STORE, UNREADABLE, AnyRequest, FormAnswer, refused
from app.accounts.oauth.schemas import ClientMetadata, OAuthError, RegisteredMetadata
from app.accounts.scopes import (
    ADMIN,
    ORGANISATIONS_WRITE,
    PERSONAL_SCOPES,
    SCOPES,
    in_order,
    scope_text,
)
from app.accounts.states import AuthMethod, GrantType
from app.http.decoding import decode_strictly, must_be_json
from app.http.describing import JSON
from app.http.documented import OPTION, Documented, Sample
from app.http.guarding import needs
from app.kernel.actor import Actor
from app.kernel.clock import epoch_us
from app.kernel.refusals import Refusal

TAGS = ["OAuth"]
BAD_METADATA = "invalid_client_metadata"
ERRORS = {
    400: ResponseSpec(OAuthError, description="RFC 7591 §3.2.2: `error` says which rule broke."),
    413: ResponseSpec(OAuthError, description="The metadata are too large."),
}


@post(
    "/oauth/register",
    sync_to_thread=True,
    guards=[needs(ORGANISATIONS_WRITE, ADMIN)],
    status_code=201,
    opt={
        "exempt_from_idempotency": True,
        "own_query": True,
        OPTION: Documented(
            takes={JSON: Sample(None, ClientMetadata)},
            gives={JSON: Sample(None, RegisteredMetadata)},
            answer="The client.",
        ),
    },
    dto=None,
    exception_handlers=UNREADABLE,
    responses=ERRORS,
    tags=TAGS,
)
def post_registration(
    request: AnyRequest,
    body: RawBody,
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
) -> FormAnswer:
    """Register a client of your own organisation (RFC 7591); your token is the initial one.

    The same as making one under `/organisations/{organisation_id}/clients`: it gets no scope that
    you lack, and is ended there. Keys are sent by value: nothing is fetched from a `jwks_uri`.
    """
    assert actor.organisation_id is not None, "a token names an organisation"
    try:
        must_be_json(request.headers.get("content-type", ""))
        wish = _wish(decode_strictly(body, ClientMetadata))
        client, secret = enrol_client(session, actor.organisation_id, wish)
    except ValueError as error:
        return refused(BAD_METADATA, _ascii(f"{error}."), 400)
    except RedirectUriInvalid as refusal:
        return refused("invalid_redirect_uri", refusal.detail, 400)
    except Refusal as refusal:
        return refused(BAD_METADATA, _ascii(refusal.detail), 400)
    return Response(_registered(client, secret), status_code=201, headers=NO_STORE)


def _wish(told: ClientMetadata) -> ClientWish:
    if set(told.response_types) - {"code"}:
        raise ValueError("response_types can only be 'code'")
    if told.jwks_uri is not None:
        raise ValueError("send the keys as jwks: nothing is fetched from a jwks_uri")
    return ClientWish(
        name=told.client_name,
        scopes=_known_scopes(told.scope),
        auth_method=AuthMethod(told.token_endpoint_auth_method),
        redirect_uris=told.redirect_uris,
        grant_types=[GrantType(one) for one in told.grant_types],
        jwks=told.jwks,
    )


def _registered(client: Client, secret: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": epoch_us(client.created_at) // 1_000_000,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"] if client.redirect_uris else [],
        "token_endpoint_auth_method": client.auth_method.value,
        "scope": scope_text(client.scopes),
    }
    if secret is not None:
        found |= {"client_secret": secret, "client_secret_expires_at": 0}
    return found if client.jwks is None else {**found, "jwks": client.jwks}


def _known_scopes(text: str) -> list[str]:
    """The scopes that a client is given; those of a person are open to every client anyway."""
    wanted = set(text.split()) - set(PERSONAL_SCOPES)
    if unknown := sorted(wanted - set(SCOPES)):
        raise ValueError(f"unknown scope {unknown[0]}")
    if not wanted:
        raise ValueError("a client needs a scope")
    return in_order(wanted)


def _ascii(text: str) -> str:
    """`text` as an `error_description` may hold it (RFC 6749 §5.2)."""
    return re.sub(r"[^\x20\x21\x23-\x5b\x5d-\x7e]", "'", text)


REGISTRATION_ROUTES = (post_registration,)
