"""Columns: what a file's column holds, and so what may be asked of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds, as far as a query cares."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    MOMENT = "timestamp with time zone"
    BINARY = "binary"
    NESTED = "nested"
    OTHER = "other"


ORDERED = frozenset(Kind) - {Kind.BINARY, Kind.NESTED, Kind.OTHER}
NUMERIC = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT})


@dataclass(frozen=True, slots=True)
class Column:
    """A column by name; `type` is a DuckDB type from a closed list, safe to stand in SQL."""

    name: str
    type: str
    kind: Kind


def column_of(name: str, type_name: str) -> Column:
    """The column called `name` whose file type is `type_name` (DuckDB's spelling, any case)."""
    upper = " ".join(type_name.upper().split())
    if upper in _TYPES:
        return Column(name, *_TYPES[upper])
    if match := _DECIMAL.fullmatch(upper):
        precision, scale = int(match[1] or 18), int(match[2] or 3)
        if 1 <= precision <= 38 and scale <= precision:
            return Column(name, f"DECIMAL({precision},{scale})", Kind.DECIMAL)
    if upper.endswith("]") or upper.startswith(("STRUCT", "MAP", "UNION", "LIST", "ROW")):
        return Column(name, "JSON", Kind.NESTED)
    return Column(name, "VARCHAR", Kind.OTHER)


def columns_of(schema: Iterable[Mapping[str, str]]) -> tuple[Column, ...]:
    """The columns of a compiled grant's `file.columns`: `[{"name", "type"}]`."""
    return tuple(column_of(entry["name"], entry["type"]) for entry in schema)


_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)(?:\((\d{1,2})(?:, ?(\d{1,2}))?\))?")

_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_TYPES: dict[str, tuple[str, Kind]] = {
    **{name: (name, Kind.INTEGER) for name in _SIGNED},
    **{f"U{name}": (f"U{name}", Kind.INTEGER) for name in _SIGNED},
    "INT": ("INTEGER", Kind.INTEGER),
    "LONG": ("BIGINT", Kind.INTEGER),
    "FLOAT": ("FLOAT", Kind.FLOAT),
    "REAL": ("FLOAT", Kind.FLOAT),
    "DOUBLE": ("DOUBLE", Kind.FLOAT),
    "VARCHAR": ("VARCHAR", Kind.TEXT),
    "TEXT": ("VARCHAR", Kind.TEXT),
    "STRING": ("VARCHAR", Kind.TEXT),
    "UUID": ("UUID", Kind.TEXT),
    "BOOLEAN": ("BOOLEAN", Kind.BOOLEAN),
    "BOOL": ("BOOLEAN", Kind.BOOLEAN),
    "DATE": ("DATE", Kind.DATE),
    "TIME": ("TIME", Kind.TIME),
    "TIMESTAMP": ("TIMESTAMP", Kind.TIMESTAMP),
    "DATETIME": ("TIMESTAMP", Kind.TIMESTAMP),
    "TIMESTAMP_S": ("TIMESTAMP_S", Kind.TIMESTAMP),
    "TIMESTAMP_MS": ("TIMESTAMP_MS", Kind.TIMESTAMP),
    "TIMESTAMP_NS": ("TIMESTAMP_NS", Kind.TIMESTAMP),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP WITH TIME ZONE", Kind.MOMENT),
    "TIMESTAMPTZ": ("TIMESTAMP WITH TIME ZONE", Kind.MOMENT),
    "BLOB": ("BLOB", Kind.BINARY),
    "JSON": ("JSON", Kind.NESTED),
}
