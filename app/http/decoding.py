"""Strict decoding: a body means exactly one thing, or it is refused.

Litestar alone would read `"5"` as 5, pass unknown members, answer 500 to deep nesting and bad UTF-8
and take text/plain for JSON. Here each of these is a 4xx that says where.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Generator
from functools import cache
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.dto import AbstractDTO, DTOConfig
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from app.http.problems import UnsupportedMediaType
from app.kernel.refusals import Malformed

MAX_DEPTH = 32
MAX_DIGITS = 30
MAX_VALUES = 100_000
MAX_MARKS = 30
JSON_TYPES = frozenset({"application/json", "application/ld+json"})

T = TypeVar("T")

# Controls (tab and line feed excepted), bidirectional overrides, and other invisible format
# characters that make two texts look alike.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ud800-\udfff]"
)


class StrictBody(AbstractDTO[Any]):
    """How Litestar reads every JSON body: by `decode_strictly`, into the handler's own type."""

    config = DTOConfig()
    model_type = object

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Nothing to prepare: the handler's own type is read at each request."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """The schema of the handler's own type."""
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[Any]
    ) -> Generator[DTOFieldDefinition, None, None]:
        """No field is transformed."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """No field is transformed."""
        return False

    def decode_bytes(self, value: bytes) -> Any:
        """The body as the handler's type."""
        request = self.asgi_connection
        assert isinstance(request, Request)
        must_be_json(request.headers.get("content-type", ""))
        field = request.route_handler.parsed_data_field
        assert field is not None, "only a handler with a body decodes one"
        return decode_strictly(value, field.annotation)


def must_be_json(content_type: str) -> None:
    """Refuse a body that does not say that it is JSON in UTF-8."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() not in JSON_TYPES:
        raise UnsupportedMediaType("Send application/json.", accepted=sorted(JSON_TYPES))
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType("JSON is sent in UTF-8.", accepted=["utf-8"])


def decode_strictly(body: bytes, kind: type[T]) -> T:
    """`body` as a `kind`; raises `Malformed` naming the first member that does not fit.

    Refuses duplicate and unknown members, wrong types, non-finite numbers, depth over 32, too many
    values, control and invisible characters; text comes out in NFC.
    """
    value = parse_json(body)
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise Malformed(message, path=path.rstrip("`") or "") from error


def parse_json(body: bytes) -> Any:
    """`body` as plain JSON values, or `Malformed`."""
    try:
        if body.count(b"[") + body.count(b"{") > MAX_VALUES:
            raise Malformed(f"A body holds {MAX_VALUES} values at most.")
        text = body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_members, parse_constant=_no_constant, parse_int=_int
        )
    except UnicodeDecodeError as error:
        raise Malformed("The body is not UTF-8.", offset=error.start) from error
    except RecursionError as error:
        raise Malformed(f"JSON may nest {MAX_DEPTH} deep.") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg}.", offset=error.pos) from error
    return _Cleaning().clean(value, MAX_DEPTH)


def clean_text(text: str, path: str = "") -> str:
    """`text` in NFC; refuses control and invisible characters, and marks upon marks."""
    if found := _FORBIDDEN.search(text):
        name = f"U+{ord(found[0]):04X}"
        raise Malformed(f"Text must not hold the character {name}.", path=path)
    if not text.isascii() and _marks_upon_marks().search(text):
        raise Malformed(f"A letter has {MAX_MARKS} marks at most.", path=path)
    return unicodedata.normalize("NFC", text)


@cache
def _marks_upon_marks() -> re.Pattern[str]:
    """A run of marks over the bound of UAX #15's stream-safe text.

    Normalizing sorts such a run in time that grows with its square: a body of 1 MB would hold the
    event loop for minutes.
    """
    marks = "".join(
        letter
        for letter in map(chr, range(0x300, 0x20000))  # the first, and far beyond the last
        if (unicodedata.combining(letter) or unicodedata.decomposition(letter))
        and unicodedata.combining(unicodedata.normalize("NFKD", letter)[0])
    )
    return re.compile(f"[{marks}]{{{MAX_MARKS + 1}}}")


class _Cleaning:
    """One body being cleaned; each member on the way to what is refused adds to its path."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def clean(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return clean_text(value)
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise Malformed("A number is out of range.", path="")
        if not isinstance(value, list | dict):
            return value
        if depth == 0:
            raise Malformed(f"JSON may nest {MAX_DEPTH} deep.")
        self._left -= len(value)
        if self._left < 0:
            raise Malformed(f"A body holds {MAX_VALUES} values at most.")
        return self._array(value, depth) if isinstance(value, list) else self._object(value, depth)

    def _array(self, items: list[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        try:
            for item in items:
                found.append(self.clean(item, depth - 1))
        except Malformed as error:
            raise _within(error, f"[{len(found)}]") from None
        return found

    def _object(self, members: dict[str, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in members.items():
            clean_name = clean_text(name)
            try:
                found[clean_name] = self.clean(member, depth - 1)
            except Malformed as error:
                raise _within(error, f".{clean_name}") from None
        return found


def _within(error: Malformed, step: str) -> Malformed:
    """`error`, told from one member further out."""
    if "path" in error.facts:
        error.facts["path"] = f"{step}{error.facts['path']}"
    return error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("A member stands twice in one JSON object.")
    return members


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is not JSON.")


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Malformed(f"A number may have {MAX_DIGITS} digits.")
    return int(digits)
