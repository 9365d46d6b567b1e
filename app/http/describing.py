"""Describing: the whole OpenAPI document, out of the route table and the types that it names.

Litestar's own document gives paths and parameters. Bodies come from msgspec, which also reads them,
so that what the document says is what is enforced; problems and scopes come from the guards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_args

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from app.http.described_parameters import IDEMPOTENCY_KEY, described_parameters
from app.http.described_problems import (
    ProblemDocument,
    problem_responses,
    problems_of,
    shared_responses,
    takes_json,
    with_every_rule,
)
from app.http.documented import NOTHING_MORE, OPTION, ApiParts, Documented, Sample
from app.http.guarding import needed_by
from app.http.shapes import Shapes, only_what_is_used, renamed

JSON = "application/json"
ETAG = "Names this edit; send it back as `If-Match`."
REPLAYED = "`true` when this is the answer to an earlier request under the same key."


@dataclass(frozen=True)
class Operation:
    """One method of one path, and who answers it."""

    path: str
    method: str
    handler: HTTPRouteHandler
    text: str
    tags: list[str]
    parameters: list[dict[str, Any]]

    @property
    def told(self) -> Documented:
        """What its handler says beside its signature."""
        found: Documented = self.handler.opt.get(OPTION, NOTHING_MORE)
        return found

    @property
    def answer(self) -> Any:
        """The type of what it answers; None for bytes and text, which `told` describes."""
        field = self.handler.parsed_fn_signature.return_type
        if field.is_subclass_of(Response):
            field = field.inner_types[0]
        return None if field.annotation in (bytes, str) else field.annotation

    @property
    def body(self) -> Any:
        """The type of the JSON that it reads; None without."""
        field = self.handler.parsed_data_field
        return field.annotation if field is not None and takes_json(self.handler) else None

    @property
    def takes_edit(self) -> bool:
        """Whether it can be told which edit is meant."""
        return any(parameter["name"] == "If-Match" for parameter in self.parameters)

    @property
    def sets_headers(self) -> bool:
        """Whether its handler makes the response itself: then an edited row comes with its tag."""
        return self.handler.parsed_fn_signature.return_type.is_subclass_of(Response)

    def samples(self) -> Iterator[Sample]:
        """Every body that has a type."""
        yield from (*self.told.takes.values(), *self.told.gives.values())
        kinds = [self.body, *(spec.data_container for spec in self.responses.values())]
        if not self.told.gives:
            kinds.append(self.answer)
        yield from (Sample(None, kind) for kind in kinds)

    @property
    def responses(self) -> Mapping[int, Any]:
        """What it answers beside the good answer and problems."""
        return self.handler.responses or {}


def describe_api(
    schema: dict[str, Any], routes: Iterable[BaseRoute], parts: ApiParts
) -> dict[str, Any]:
    """The document; `schema` is Litestar's own."""
    operations = list(_operations(schema, routes))
    shapes = Shapes([ProblemDocument, *(one.kind for each in operations for one in each.samples())])
    edited = {one.answer for one in operations if one.takes_edit}
    paths: dict[str, Any] = {}
    for one in operations:
        path = paths.setdefault(one.path, {})
        path[one.method.lower()] = _described(
            one, shapes, has_etag=one.sets_headers and one.answer in edited
        )
    document = {
        **schema,
        "paths": {**paths, **parts.foreign_paths},
        "tags": [{"name": name, "description": text} for name, text in parts.tags.items()],
        "components": _components(schema["components"], shapes),
    }
    return only_what_is_used(renamed(document))


def _components(found: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """What operations refer to; Litestar's own schemas are left to its parameters."""
    problem = ProblemDocument.__name__
    return {
        **found,
        "schemas": {
            **found.get("schemas", {}),
            **shapes.components,
            problem: with_every_rule(shapes.components[problem]),
        },
        "responses": shared_responses(),
    }


def _operations(schema: Mapping[str, Any], routes: Iterable[BaseRoute]) -> Iterator[Operation]:
    named = schema["components"].get("schemas", {})
    for route in routes:
        handlers = route.route_handlers if isinstance(route, HTTPRoute) else ()
        for handler in sorted(handlers, key=lambda one: sorted(one.http_methods)):
            for method in sorted(handler.http_methods):
                found = schema["paths"].get(route.path_format, {}).get(method.lower())
                if found is not None and handler.resolve_include_in_schema():
                    yield Operation(
                        route.path_format,
                        method,
                        handler,
                        found.get("description", ""),
                        found.get("tags", []),
                        list(described_parameters(found.get("parameters", []), named)),
                    )


def _described(one: Operation, shapes: Shapes, *, has_etag: bool) -> dict[str, Any]:
    scopes = needed_by(one.handler)
    described: dict[str, Any] = {
        "tags": one.tags,
        "summary": _summary(one.text),
        "description": f"{_paragraphs(one.text)}\n\n{_who_may(scopes)}".strip(),
        "operationId": operation_id(one.method, one.path),
        "parameters": [*one.parameters, *_headers_asked(one)],
        "responses": _responses(one, shapes, has_etag=has_etag),
        "security": security_of(scopes),
    }
    if body := _request_body(one, shapes):
        described["requestBody"] = body
    return described


def _headers_asked(one: Operation) -> Iterator[dict[str, Any]]:
    for name, (meaning, example) in one.told.asks.items():
        header = {"name": name, "in": "header", "required": False, "description": meaning}
        yield {**header, "schema": {"type": "string"}, "example": example}
    if _takes_key(one):
        yield dict(IDEMPOTENCY_KEY)


def operation_id(method: str, path: str) -> str:
    """The operation's one name: its method and the words of its path."""
    words = re.findall(r"[A-Za-z0-9]+", path.removeprefix("/api/v1"))
    return "_".join([method.lower(), *words]).replace("-", "_")


def security_of(scopes: frozenset[str] | None) -> list[dict[str, list[str]]]:
    """One of the scopes, any token, or none at all."""
    if scopes is None:
        return []
    return [{"oauth2": [scope]} for scope in sorted(scopes)] or [{"oauth2": []}]


def _responses(one: Operation, shapes: Shapes, *, has_etag: bool) -> dict[str, Any]:
    gives = one.told.gives or {JSON: Sample(None, one.answer)}
    headers = dict(one.told.headers)
    if has_etag:
        headers["ETag"] = ETAG
    if _takes_key(one):
        headers["Idempotency-Replayed"] = REPLAYED
    kinds = problems_of(one.handler, in_path="{" in one.path, if_match=one.takes_edit)
    responses = {
        str(one.handler.status_code): {
            "description": one.told.answer
            or _about(one.answer)
            or HTTPStatus(one.handler.status_code).phrase,
            "headers": described_headers(headers),
            "content": {media_type: shapes.body(sample) for media_type, sample in gives.items()},
        },
        **problem_responses(kinds),
    }
    for status, spec in one.responses.items():
        content = {JSON: shapes.body(Sample(None, spec.data_container))}
        responses[str(status)] = {"description": spec.description, "content": content}
    return responses


def described_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """Response headers with what they mean."""
    return {
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in headers.items()
    }


def _request_body(one: Operation, shapes: Shapes) -> dict[str, Any] | None:
    if one.told.takes:
        content = {name: shapes.body(sample) for name, sample in one.told.takes.items()}
        return {"required": True, "content": content}
    if one.body is None:
        return None
    optional = type(None) in get_args(one.body)
    return {"required": not optional, "content": {JSON: shapes.body(Sample(None, one.body))}}


def _takes_key(one: Operation) -> bool:
    exempt = one.handler.opt.get("exempt_from_idempotency")
    return one.method == "POST" and not exempt and needed_by(one.handler) is not None


def _summary(text: str) -> str:
    """The first sentence, or the part of it before a colon or semicolon, as a title."""
    first = " ".join(text.split("\n\n")[0].split())
    return re.split(r"[.:;](?:\s|$)", first)[0]


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _who_may(scopes: frozenset[str] | None) -> str:
    if scopes is None:
        return "Needs no token."
    if not scopes:
        return "Needs a token."
    return "Needs a token with the scope " + " or ".join(f"`{one}`" for one in sorted(scopes)) + "."


def _about(kind: Any) -> str:
    """The first paragraph of a shape's docstring."""
    shape = getattr(kind, "__origin__", kind)
    is_ours = isinstance(shape, type) and issubclass(shape, msgspec.Struct)
    return _paragraphs((shape.__doc__ or "").split("\n\n")[0].strip()) if is_ours else ""
