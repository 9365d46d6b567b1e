"""Describing the proxy: what the OpenAPI document says of calls to a provider's own API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http.described_problems import problem_responses
from app.http.documented import Problem
from app.http.examples import DAY
from app.http.problems import TooLarge
from app.metering.errors import BodyTooSlow
from app.metering.gateway.bodies import BUYER_SHARE_BYTES, LEAST_BYTES, SENDER_MIN_BYTES_S
from app.metering.gateway.described import ANY_CALL, COUNTED, operation, parameter
from app.metering.gateway.proxy_policy import POLICY
from app.metering.upstream.errors import (
    MethodNotAllowed,
    PathRefused,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)

PROXY = "/data/{slug}/api/{path}"

PROXY_PROBLEMS: tuple[Problem, ...] = (
    *ANY_CALL,
    PathRefused,
    MethodNotAllowed,
    UpstreamFailed,
    UpstreamUnreachable,
    UpstreamTooLarge,
    UpstreamTimeout,
    UpstreamBusy,
)
BODY_PROBLEMS: tuple[Problem, ...] = (TooLarge, BodyTooSlow)

_ENDINGS = "\n\n".join(f"- {row.how}: {row.answer}; counted: {row.counted}." for row in POLICY)
_TEXT = f"""
A call to the provider's own API, through us: we add the provider's credential, and pass on the path
below `api/` (slashes and all), the query, and the headers Accept, Accept-Encoding, Accept-Language,
Content-Type and Range. The answer comes back as it is, without cookies and redirects.

The listing says which methods there are: `GET` (and `HEAD` with it), `HEAD`, `POST`.

What becomes of a call, by how it ends:

{_ENDINGS}
"""
_POST_TEXT = f"""
The body is read when all else is admitted (rate and quota too), and must come with at least
{SENDER_MIN_BYTES_S:,} bytes a second. The bodies of one buyer that are under way at once have
{BUYER_SHARE_BYTES:,} bytes, {LEAST_BYTES:,} for each call beside its body: who wants more is told
to come again (429 `rate-limited`), as everybody is when too many wait for the provider or for us
(503).

The body goes on as it came, with its Content-Type and Content-Encoding. We send it once and never
again by ourselves: without an answer nothing is billed, and the provider may have carried the call
out all the same. A repeat under an `Idempotency-Key` goes to the provider again, with a key of its
own by which it can tell a repeat from a new call; the same key with another body is 422.
"""
_ANYTHING = {"*/*": {"schema": {}, "example": {"temperature": 21.5}}}
_ANY_BODY = {
    "description": "Whatever the provider's API takes; as large as other bodies that we read.",
    "content": {"*/*": {"schema": {}, "example": {"station": "52889"}}},
}
_REST = parameter(
    "path", "path", "The path of the provider's API; may hold slashes.", {}, "stations/52889"
)
_ANY_QUERY = {
    **parameter("query", "query", "Whatever the provider's API takes.", {}, {"on": DAY}),
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def _passed_on(method: str) -> dict[str, Any]:
    """The responses of the proxied path: the provider's own, and our problems."""
    answered = {"description": "What the provider's API answers.", "headers": COUNTED}
    kinds = PROXY_PROBLEMS + (BODY_PROBLEMS if method == "POST" else ())
    problems = problem_responses(kinds, shared=False)
    for status, problem in problems.items():
        # A 401 of the provider's would be about our credential, and is a failure.
        if status.startswith("4") and status != "401":
            problem["description"] += "\n\nOr the provider's own refusal."
            problem["content"]["*/*"] = {"schema": {}}
    return {
        "2XX": answered if method == "HEAD" else {**answered, "content": _ANYTHING},
        "4XX": {"description": "The provider's API refuses; the plan says whether that counts."},
        **problems,
    }


def _described(method: str, summary: str) -> dict[str, Any]:
    text = _TEXT + _POST_TEXT if method == "POST" else _TEXT
    found = operation(method, PROXY, (summary, text), (_REST, _ANY_QUERY), _passed_on(method))
    return {**found, "requestBody": _ANY_BODY} if method == "POST" else found


PROXY_PATHS: Mapping[str, dict[str, Any]] = {
    PROXY: {
        "get": _described("GET", "Call a provider's API"),
        "head": _described("HEAD", "Ask a provider's API for headers alone"),
        "post": _described("POST", "Send something to a provider's API"),
    }
}
"""The path item of the proxy."""
