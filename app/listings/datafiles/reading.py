"""Reading: an uploaded file as a relation with typed columns, ready to be written as Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.http.decoding import clean_text
from app.kernel.refusals import Malformed
from app.listings.datafiles.duck import identifier, literal
from app.listings.datafiles.formats import SourceFormat
from app.listings.datafiles.inference import (
    PREDICATES,
    checks,
    fitting,
    kinds_met,
    kinds_of,
    type_of_json,
    type_of_text,
)
from app.listings.errors import FileRefused

if TYPE_CHECKING:
    import duckdb

COLUMNS_MAX = 1000
NAME_MAX_CHARS = 128
LINE_MAX_BYTES = 1_000_000
ROWS_MAX = 500_000_000
UNPACKED_MAX_BYTES = 20_000_000_000
# DuckDB plans a SELECT in time and memory that grow with the square of its aggregates, outside of
# its memory limit: those of a thousand columns at once take more than a machine has.
AGGREGATES_AT_ONCE = 150

# Names that DuckDB gives to columns of its own when it reads a file.
_RESERVED = frozenset({"file_row_number", "filename", "file_index", "file_last_modified"})
_SCALAR = re.compile(
    r"(U?(TINYINT|SMALLINT|INTEGER|BIGINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BOOLEAN|DATE"
    r"|TIME|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?|UUID|BLOB)"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name and DuckDB type, and the SQL expression that yields it."""

    name: str
    type: str
    expression: str


@dataclass(frozen=True, slots=True)
class Relation:
    """What to select from, and the columns to take."""

    source: str
    columns: Sequence[Column]

    def select(self) -> str:
        """The whole relation as SQL."""
        columns = ", ".join(
            f"{column.expression} AS {identifier(column.name)}" for column in self.columns
        )
        return f"SELECT {columns} FROM {self.source}"  # noqa: S608  quoted names, no values


def relation_of(
    connection: duckdb.DuckDBPyConnection, source: Path, source_format: SourceFormat
) -> Relation:
    """The table in `source`; raises `FileRefused` or what DuckDB says about it."""
    match source_format:
        case SourceFormat.CSV:
            return _csv(connection, source)
        case SourceFormat.JSON_LINES:
            return _json_lines(connection, source)
        case SourceFormat.PARQUET:
            return _parquet(connection, source)


def _csv(connection: duckdb.DuckDBPyConnection, source: Path) -> Relation:
    """CSV as RFC 4180 has it: commas, double quotes, a line of names first, UTF-8."""
    names = _csv_names(source)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    relation = (
        f"read_csv({literal(str(source))}, columns = {{{columns}}}, header = true,"
        " auto_detect = false, delim = ',', quote = '\"', escape = '\"', strict_mode = true,"
        f" nullstr = '', max_line_size = {LINE_MAX_BYTES})"
    )
    expressions = [identifier(name) for name in names]
    aggregates = [check for text in expressions for check in checks(text)]
    answers = _answers(connection, relation, aggregates)
    typed = [
        _cast(name, text, type_of_text(fitting(fits)))
        for name, text, fits in zip(names, expressions, _chunks(answers), strict=True)
    ]
    return Relation(relation, typed)


def _csv_names(source: Path) -> list[str]:
    with source.open("rb") as file:
        head = file.readline(LINE_MAX_BYTES + 1)
    if len(head) > LINE_MAX_BYTES:
        raise FileRefused("The first line is too long.", rule="csv", line=1)
    line = head.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
    try:
        rows = list(csv.reader(io.StringIO(line, newline=""), strict=True))
    except csv.Error as error:
        raise FileRefused("The first line is not CSV.", rule="csv", line=1) from error
    if len(rows) != 1:
        raise FileRefused("The first line names the columns.", rule="csv", line=1)
    return _checked_names(rows[0])


def _json_lines(connection: duckdb.DuckDBPyConnection, source: Path) -> Relation:
    """One JSON object per line; members that a line leaves out are null there."""
    names = _json_names(connection, source)
    columns = ", ".join(f"{literal(name)}: 'JSON'" for name in names)
    relation = (
        f"read_json({literal(str(source))}, format = 'newline_delimited', records = true,"
        f" columns = {{{columns}}}, maximum_object_size = {LINE_MAX_BYTES})"
    )
    expressions = [f"({identifier(name)} ->> '$')" for name in names]
    kinds = [kinds_met(f"json_type({identifier(name)})") for name in names]
    aggregates = [check for text in expressions for check in checks(text)]
    answers = _answers(connection, relation, [*kinds, *aggregates])
    found, fits = answers[: len(names)], _chunks(answers[len(names) :])
    typed = []
    for name, text, kind, fit in zip(names, expressions, found, fits, strict=True):
        type_name = type_of_json(kinds_of(kind), fitting(fit))
        if type_name is None:
            raise FileRefused(
                f"The column {name!r} holds lists or objects; a table holds plain values.",
                rule="nested",
                column=name,
            )
        typed.append(_cast(name, text, type_name))
    return Relation(relation, typed)


def _json_names(connection: duckdb.DuckDBPyConnection, source: Path) -> list[str]:
    """The first object's members in their order, then those that only others have."""
    objects = f"read_ndjson_objects({literal(str(source))}, maximum_object_size = {LINE_MAX_BYTES})"
    first = connection.execute(
        f"SELECT json_keys(json), json_type(json) FROM {objects} LIMIT 1"  # noqa: S608  our path
    ).fetchone()
    if first is None:
        raise FileRefused("The file is empty.", rule="empty")
    others = connection.execute(
        "SELECT DISTINCT unnest(json_keys(json)) AS name, bool_and(json_type(json) = 'OBJECT')"  # noqa: S608
        f" OVER () FROM {objects} WHERE json_type(json) IS NOT NULL ORDER BY name"
        f" LIMIT {COLUMNS_MAX + 1}"
    ).fetchall()
    if first[1] != "OBJECT" or not all(row[1] for row in others):
        raise FileRefused("Each line is one JSON object.", rule="jsonl")
    return _checked_names(dict.fromkeys([*first[0], *(row[0] for row in others)]))


def _parquet(connection: duckdb.DuckDBPyConnection, source: Path) -> Relation:
    """A flat Parquet file, within bounds on what it unpacks to."""
    path = literal(str(source))
    relation = f"read_parquet({path})"
    rows, unpacked = connection.execute(
        f"SELECT (SELECT sum(num_rows) FROM parquet_file_metadata({path})),"  # noqa: S608  our path
        f" (SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata({path}))"
    ).fetchall()[0]
    if rows > ROWS_MAX or unpacked > UNPACKED_MAX_BYTES or unpacked < 0:
        raise FileRefused("The file unpacks to more than this house reads.", rule="size")
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
    for name, type_name, *_ in described:
        if not _SCALAR.fullmatch(type_name):
            raise FileRefused(
                f"The column {name!r} is of the type {type_name}; a table holds plain values.",
                rule="nested",
                column=name,
            )
    names = _checked_names([row[0] for row in described])
    typed = [
        Column(name, row[1], identifier(row[0])) for name, row in zip(names, described, strict=True)
    ]
    return Relation(relation, typed)


def _checked_names(names: Iterable[str]) -> list[str]:
    """Names that a query, a licence and a reader in another program can all use."""
    found = [_checked_name(name, place) for place, name in enumerate(names, start=1)]
    if not 1 <= len(found) <= COLUMNS_MAX:
        raise FileRefused(f"A table has 1 to {COLUMNS_MAX} columns.", rule="columns")
    seen: set[str] = set()
    for name in found:
        if name.casefold() in seen:
            raise FileRefused(
                f"Two columns are called {name!r}, apart from upper and lower case.",
                rule="column-names",
                column=name,
            )
        seen.add(name.casefold())
    return found


def _checked_name(name: str, place: int) -> str:
    try:
        clean = clean_text(name)
    except Malformed as error:
        raise FileRefused(
            f"The name of column {place} holds an invisible character.", rule="column-names"
        ) from error
    if not clean.strip() or len(clean) > NAME_MAX_CHARS or "\n" in clean or "\t" in clean:
        raise FileRefused(
            f"Column {place} needs a name of 1 to {NAME_MAX_CHARS} characters on one line.",
            rule="column-names",
        )
    if clean.casefold() in _RESERVED:
        raise FileRefused(f"A column may not be called {clean!r}.", rule="column-names")
    return clean


def _cast(name: str, text: str, type_name: str) -> Column:
    return Column(name, type_name, f"CAST({text} AS {type_name})")


def _answers(
    connection: duckdb.DuckDBPyConnection, relation: str, aggregates: Sequence[str]
) -> list[Any]:
    """The value of each aggregate; a wide relation is read several times for them."""
    answers: list[Any] = []
    for start in range(0, len(aggregates), AGGREGATES_AT_ONCE):
        some = ", ".join(aggregates[start : start + AGGREGATES_AT_ONCE])
        row = connection.execute(f"SELECT {some} FROM {relation}").fetchone()  # noqa: S608  quoted names, no values
        assert row is not None
        answers += row
    return answers


def _chunks(answers: Sequence[Any]) -> list[Sequence[bool | None]]:
    width = len(PREDICATES)
    return [answers[start : start + width] for start in range(0, len(answers), width)]
