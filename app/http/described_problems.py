"""Described problems: which problem documents an operation can answer with, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from app.http.documented import NOTHING_MORE, OPTION, Documented, Problem
from app.http.examples import looks_like
from app.http.guarding import needed_by
from app.http.idempotency import IdempotencyKeyReused, SecretAlreadyShown
from app.http.problems import PROBLEM_JSON, TYPE_PREFIX, TooLarge, UnsupportedMediaType
from app.http.schemas import View
from app.kernel.refusals import (
    EditConflict,
    Malformed,
    NotAllowed,
    NotSignedIn,
    Outage,
    Refusal,
    RowNotFound,
    RuleBroken,
    StepNotAllowed,
)

SHARED: tuple[Problem, ...] = (
    Malformed,
    NotSignedIn,
    NotAllowed,
    RowNotFound,
    StepNotAllowed,
    EditConflict,
    TooLarge,
    UnsupportedMediaType,
    RuleBroken,
    Outage,
)
"""What is told once for all operations, under `components.responses`."""

REQUEST_ID = "4f0c2d7be1a94c1d8a7b6e5f3c2d1e0f"
_HEADERS: Mapping[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "How to sign in (RFC 6750)."),
    405: ("Allow", "The methods that are offered."),
    429: ("Retry-After", "Seconds until it is worth asking again, if it ever is."),
    502: ("Retry-After", "Seconds until it is worth asking again."),
    503: ("Retry-After", "Seconds until it is worth asking again."),
    504: ("Retry-After", "Seconds until it is worth asking again."),
}


@looks_like(
    type=f"{TYPE_PREFIX}{RowNotFound.slug}",
    title=RowNotFound.title,
    status=RowNotFound.status,
    detail="There is no such thing, or it is not yours.",
    request_id=REQUEST_ID,
)
class ProblemDocument(View):
    """A problem (RFC 9457). Further members are facts about it, for programs."""

    type: Annotated[str, Meta(description="`urn:zhigu:problem:` and the slug of the rule broken.")]
    title: Annotated[str, Meta(description="The rule in a few words, the same each time.")]
    status: int
    detail: Annotated[str, Meta(description="One sentence for a person.")]
    request_id: Annotated[str, Meta(description="What to name when you ask us about it.")]


def shared_responses() -> dict[str, Any]:
    """The `components.responses` of the document."""
    return {kind.__name__: _response([kind]) for kind in SHARED}


def with_every_rule(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of `ProblemDocument`, with every slug that there is and what it says."""
    kinds = {kind.slug: kind for root in (Outage, Refusal) for kind in _rules(root)}
    listed = "\n".join(
        f"- `{slug}` ({kind.status}): {_meaning(kind)}" for slug, kind in sorted(kinds.items())
    )
    told = schema["properties"]["type"]
    slug = {
        **told,
        "description": f"{told['description']}\n\n{listed}",
        "examples": [TYPE_PREFIX + slug for slug in sorted(kinds)],
    }
    return {**schema, "properties": {**schema["properties"], "type": slug}}


def _rules(kind: Problem) -> Iterator[Problem]:
    """Every rule of the house from `kind` down; one comes after those that say it more closely."""
    for below in kind.__subclasses__():
        yield from _rules(below)
    if kind.__module__.startswith("app."):
        yield kind


def problem_responses(kinds: Iterable[Problem], *, shared: bool = True) -> dict[str, Any]:
    """The responses of these problems, by status.

    One that says only what all operations say refers to `shared_responses`, unless not `shared`.
    """
    by_status: dict[int, dict[str, Problem]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, {}).setdefault(kind.slug, kind)
    return {
        str(status): (shared and _reference(list(found.values()))) or _response([*found.values()])
        for status, found in sorted(by_status.items())
    }


def problems_of(handler: HTTPRouteHandler, *, in_path: bool, if_match: bool) -> Iterator[Problem]:
    """Every problem that the way in lets one expect, and those that the handler declares.

    `in_path`: its path names a row; `if_match`: it can be told which edit is meant.
    """
    options = handler.opt
    told: Documented = options.get(OPTION, NOTHING_MORE)
    if not options.get("own_query"):
        yield Malformed
    if not options.get("own_authentication"):
        yield NotSignedIn
    scopes = needed_by(handler)
    if scopes:
        yield NotAllowed
    if in_path:
        yield RowNotFound
    if if_match:
        yield EditConflict
    if takes_json(handler):
        yield from (TooLarge, UnsupportedMediaType)
    if scopes is not None and "GET" not in handler.http_methods:
        yield from _changing(handler, in_path=in_path)
    if not options.get("no_transaction"):
        yield Outage
    yield from told.refuses


def takes_json(handler: HTTPRouteHandler) -> bool:
    """Whether it reads a JSON body, strictly."""
    return handler.parsed_data_field is not None and handler.resolve_data_dto() is not None


def _changing(handler: HTTPRouteHandler, *, in_path: bool) -> Iterator[Problem]:
    """What only a request that changes something is told."""
    if in_path:
        yield StepNotAllowed
    yield RuleBroken
    if "POST" in handler.http_methods and not handler.opt.get("exempt_from_idempotency"):
        yield IdempotencyKeyReused
    if handler.opt.get("holds_secret"):
        yield SecretAlreadyShown


def _reference(kinds: list[Problem]) -> dict[str, Any] | None:
    if len(kinds) != 1 or kinds[0] not in SHARED:
        return None
    return {"$ref": f"#/components/responses/{kinds[0].__name__}"}


def _response(kinds: list[Problem]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "\n\n".join(f"`{kind.slug}`: {_meaning(kind)}" for kind in kinds),
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"},
                "examples": {kind.slug: _example(kind) for kind in kinds},
            }
        },
    }
    if header := _HEADERS.get(kinds[0].status):
        name, meaning = header
        response["headers"] = {name: {"description": meaning, "schema": {"type": "string"}}}
    return response


def _example(kind: Problem) -> dict[str, Any]:
    return {
        "summary": kind.title,
        "value": {
            "type": TYPE_PREFIX + kind.slug,
            "title": kind.title,
            "status": kind.status,
            "detail": _meaning(kind),
            "request_id": REQUEST_ID,
        },
    }


def _meaning(kind: Problem) -> str:
    """The first sentence of the class: what it is raised for."""
    return " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
