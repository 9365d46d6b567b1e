"""Problem documents (RFC 9457): the one place where an exception becomes an answer."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.session import store_away
from app.http.hardening import API_POLICY, SECURITY_HEADERS
from app.http.request_state import Answer, RequestState, state_of
from app.kernel.refusals import Malformed, NotSignedIn, Outage, Refusal

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:zhigu:problem:"
# What Litestar says, as a 500, of a client that hung up before its body ended.
HUNG_UP = "client disconnected prematurely"

log = structlog.get_logger("http")

_SLUGS = {
    400: "malformed",
    401: "not-signed-in",
    403: "not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    429: "rate-limited",
}


class TooLarge(Refusal):
    """The body is larger than this operation takes."""

    status = 413
    slug = "too-large"
    title = "Too large"


class UnsupportedMediaType(Refusal):
    """The body is not of a type that this operation reads."""

    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"


def exception_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler: the problem document of `error` as a response."""
    answer = problem_answer(state_of(request.scope), error)
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=headers.pop("content-type"),
        headers=headers,
    )


EXCEPTION_HANDLERS: dict[Any, Any] = {
    Exception: exception_response,
    HTTPException: exception_response,
}


def problem_answer(state: RequestState, error: Exception) -> Answer:
    """The whole answer to a request that ended in `error`, whatever it is; notes it in `state`.

    A failing store is an outage; a broken constraint that no rule foresaw is a bug.
    """
    if isinstance(error, InternalServerException) and error.detail == HUNG_UP:
        error = Malformed("The request broke off before its end.")
    if isinstance(error, Refusal):
        state.refusal = error
        return _refusal(state, error)
    if isinstance(error, DBAPIError | PoolTimeout) and not isinstance(error, IntegrityError):
        error = store_away(error)
    if isinstance(error, Outage):
        headers = {"retry-after": str(error.retry_after_s)}
        return _problem(state, error, error.detail, error.facts, headers)
    if isinstance(error, HTTPException) and error.status_code < 500:
        state.refusal = Malformed(error.detail)
        return _framework(state, error)
    return _bug(state, error)


def _refusal(state: RequestState, refusal: Refusal) -> Answer:
    headers = {name.lower(): value for name, value in refusal.headers.items()}
    if isinstance(refusal, NotSignedIn):
        headers.setdefault("www-authenticate", 'Bearer realm="zhigu"')
    return _problem(state, refusal, refusal.detail, refusal.facts, headers)


def _framework(state: RequestState, error: HTTPException) -> Answer:
    """What Litestar itself refuses: unknown path or method, bad parameter, oversized body."""
    facts: dict[str, object] = {}
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        facts["errors"] = [_validation_fact(item) for item in error.extra]
    status = error.status_code
    kind = _Kind(_SLUGS.get(status, "refused"), HTTPStatus(status).phrase, status)
    headers = {name.lower(): str(value) for name, value in (error.headers or {}).items()}
    return _problem(state, kind, _framework_detail(error), facts, headers)


def _bug(state: RequestState, error: Exception) -> Answer:
    """Something we did not foresee: the log has the story, the answer does not."""
    log.error(
        "bug",
        request_id=state.request_id,
        error=f"{type(error).__name__}: {error}"[:500],
        trace="".join(traceback.format_exception(error))[-4000:],
    )
    detail = "Something went wrong on our side; it has been logged under this request id."
    return _problem(state, _Kind("internal-error", "Internal error", 500), detail, {}, {})


class _Kind(msgspec.Struct, frozen=True):
    """What a problem without a class of its own is called."""

    slug: str
    title: str
    status: int


def _problem(
    state: RequestState,
    kind: Refusal | Outage | _Kind,
    detail: str,
    facts: Mapping[str, object],
    headers: Mapping[str, str],
) -> Answer:
    body = {
        **facts,
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": state.request_id,
    }
    ours = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", state.request_id.encode()),
        *SECURITY_HEADERS,
        API_POLICY,
    ]
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Answer(kind.status, (*ours, *given), msgspec.json.encode(body))


def _framework_detail(error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is no such thing, or it is not yours."
    if error.status_code == 405:
        return "This path does not answer that method."
    return error.detail


def _validation_fact(item: Any) -> dict[str, str]:
    if not isinstance(item, dict):
        return {"message": str(item)}
    return {name: str(item[name]) for name in ("key", "source", "message") if name in item}
