"""Answers: whatever an operation answers, its document has said that it may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from httpx import Response
from litestar.testing import TestClient

from tests.stage import the_stage

WITH_SLASHES = {"path"}
"""Path parameters that hold slashes."""
ALWAYS_THERE = {"ETag", "Repr-Digest", "WWW-Authenticate", "Retry-After"}
"""Headers that an answer carries whenever its document names them; a 429 may be for good."""


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, which needs no installation."""
    with TestClient(the_stage().app) as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
        return found


def resolved(node: Any) -> Any:
    """`node`, or what it refers to."""
    if not isinstance(node, dict) or "$ref" not in node:
        return node
    found: Any = document()
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def is_as_documented(response: Response) -> None:
    """Fail for an answer that the document does not tell of; a path unknown to it is free."""
    path = response.request.url.raw_path.decode("ascii").partition("?")[0]
    operation = operation_at(response.request.method, path)
    # 405 says that no operation stands here under this method.
    if operation is not None and response.status_code != 405:
        check(operation, response.status_code, response.headers, response.text)


def check(operation: Any, status: int, headers: Mapping[str, str], text: str) -> None:
    """Fail unless `operation` may answer with this status, content type and headers."""
    label = f"{operation['operationId']} answers {status}: {text[:200]}"
    responses = operation["responses"]
    found = resolved(responses.get(str(status)) or responses.get(f"{status // 100}XX"))
    assert found is not None, f"{label}\nwhich is not documented"
    media_type = headers.get("content-type", "").partition(";")[0]
    content = found.get("content", {})
    if content:
        assert {media_type, "*/*"} & set(content), f"{label}\nas {media_type}"
    due = ALWAYS_THERE & set(found.get("headers", ()))
    if status != 429:
        assert all(name.lower() in headers for name in due), f"{label}\nwithout one of {due}"


def operation_at(method: str, path: str) -> Any:
    """The documented operation that a raw path leads to, or None."""
    for shape, item in _shapes():
        if shape.fullmatch(path):
            return item.get(method.lower())
    return None


@cache
def _shapes() -> list[tuple[re.Pattern[str], Any]]:
    """Every path as a pattern, those with the fewest parameters first."""
    paths = sorted(document()["paths"].items(), key=lambda pair: pair[0].count("{"))
    return [(re.compile(_pattern(path)), item) for path, item in paths]


def _pattern(path: str) -> str:
    pieces = re.split(r"\{(\w+)\}", path)
    return "".join(
        (".*" if piece in WITH_SLASHES else "[^/]+") if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )
