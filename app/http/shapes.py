"""Shapes: the schemas of everything that bodies are made of, as msgspec reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from app.http.documented import Sample
from app.http.examples import example_of

SCHEMAS = "#/components/schemas/"


class Shapes:
    """The schemas of all types that bodies are made of, named once for the whole document."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        wanted = list(dict.fromkeys(kind for kind in kinds if kind is not None))
        schemas, self.components = msgspec.json.schema_components(
            wanted, ref_template=SCHEMAS + "{name}"
        )
        self._schemas = dict(zip(wanted, schemas, strict=True))

    def body(self, sample: Sample) -> dict[str, Any]:
        """The media type object of a body."""
        schema = {} if sample.kind is None else self._schemas[sample.kind]
        example = example_of(sample.kind) if sample.example is None else sample.example
        return {"schema": schema, "example": example}


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the house's own name in those that two shapes would share."""

    def walked(value: Any) -> Any:
        if isinstance(value, list):
            return [walked(item) for item in value]
        if not isinstance(value, dict):
            return value.replace(SCHEMAS + "app.", SCHEMAS) if isinstance(value, str) else value
        return {name: walked(member) for name, member in value.items()}

    document["components"]["schemas"] = {
        name.removeprefix("app."): schema
        for name, schema in document["components"]["schemas"].items()
    }
    found: dict[str, Any] = walked(document)
    return found


def only_what_is_used(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the schemas that nothing refers to."""
    schemas = document["components"]["schemas"]
    outside = {**document, "components": {**document["components"], "schemas": {}}}
    wanted = list(_referred(outside))
    used: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in used:
            used[name] = schemas[name]
            wanted.extend(_referred(schemas[name]))
    document["components"]["schemas"] = dict(sorted(used.items()))
    return document


def _referred(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(SCHEMAS):
        yield value.removeprefix(SCHEMAS)
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _referred(member)
