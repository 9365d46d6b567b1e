"""Form endpoints: how every operation that a client calls with a form is answered.

Refusals are RFC 6749 §5.2 JSON, nothing is stored by a cache, and what a refusal must remember is
remembered: the second use of a code, and what the client had signed for this very request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from sqlmodel import Session

from app.accounts.oauth.delegating import UsedBefore
from app.accounts.oauth.parameters import (
    FORM,
    ParametersUnreadable,
    is_form,
    must_be_plain,
    read_parameters,
)
from app.accounts.oauth.schemas import OAuthError
from app.accounts.oauth.server import OAuthAnswer, OAuthRequest, OAuthServer
from app.accounts.oauth.spending import SpentInVain, spend
from app.http.documented import OPTION, Documented, Sample
from app.http.request_state import state_of
from app.kernel.refusals import Refusal

OWN_RULES = {"own_authentication": True, "own_query": True, "exempt_from_idempotency": True}
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
OAUTH_ERRORS = {
    400: ResponseSpec(OAuthError, description="RFC 6749 §5.2: `error` says which rule was broken."),
    401: ResponseSpec(OAuthError, description="The client did not prove who it is."),
    413: ResponseSpec(OAuthError, description="The form is too large."),
}

AnyRequest = Request[Any, Any, Any]
FormAnswer = Response[dict[str, Any]]
Act = Callable[[OAuthServer, OAuthRequest], OAuthAnswer]


def documented_form(form: Any, **others: Any) -> dict[str, Any]:
    """The options of an operation that takes a form."""
    told = Documented(takes={FORM: Sample(None, form)}, **others)
    return {**OWN_RULES, OPTION: told}


def answer_form(request: AnyRequest, session: Session, body: bytes, act: Act) -> FormAnswer:
    """What `act` makes of the form, or why it is refused."""
    server = OAuthServer(session)
    try:
        asked = _read(server, request, body)
    except ParametersUnreadable as error:
        return refused("invalid_request", f"{error}.", 400)
    kept: Refusal | None = None
    try:
        answer = act(server, asked)
    except OAuth2Error as error:
        answer = server.refuse(asked, error)
    except UsedBefore as error:
        kept, answer = error, OAuthAnswer(400, {}, _told("invalid_grant", error.detail))
    if answer.status >= 400:
        state_of(request.scope).refusal = _to_remember(server, kept)
    return _response(answer)


def unreadable(_request: AnyRequest, error: HTTPException) -> FormAnswer:
    """What Litestar itself refuses, such as a body that is too large, as RFC 6749 §5.2 wants it."""
    return refused("invalid_request", "The request cannot be read.", error.status_code)


UNREADABLE: Any = {HTTPException: unreadable}


def refused(error: str, description: str, status: int) -> FormAnswer:
    """A refusal by RFC 6749 §5.2."""
    return Response(_told(error, description), status_code=status, headers=NO_STORE)


def _read(server: OAuthServer, request: AnyRequest, body: bytes) -> OAuthRequest:
    if not is_form(request.headers.get("content-type")):
        raise ParametersUnreadable(f"send {FORM}")
    if request.scope["query_string"]:
        raise ParametersUnreadable("parameters belong in the body")
    parameters = read_parameters(body)
    must_be_plain(parameters)
    return server.request("POST", request.url.path, parameters, dict(request.headers.items()))


def _to_remember(server: OAuthServer, refusal: Refusal | None) -> Refusal:
    spent = list(server.spent)

    def keep(fresh: Session) -> None:
        for use in spent:
            spend(fresh, use)
        if refusal is not None and refusal.keep is not None:
            refusal.keep(fresh)

    return SpentInVain("The request was refused.", keep=keep if spent or refusal else None)


def _told(error: str, description: str) -> dict[str, Any]:
    return {"error": error, "error_description": description}


def _response(answer: OAuthAnswer) -> FormAnswer:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
    return Response(dict(answer.body), status_code=answer.status, headers={**headers, **NO_STORE})
