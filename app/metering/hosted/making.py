"""Making: the file of one contract: its columns, its rows, in the format asked for.

Runs in a thread of an engine; what is large stays in DuckDB or on disk. The same file comes out
each time, byte for byte, so a download may go on with another process.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.listings.conditions.columns import NUMERIC, Column, Kind
from app.listings.conditions.expressions import Expression
from app.metering.hosted.errors import AnswerTooLarge, FileAway
from app.metering.hosted.formats import Format, csv_header
from app.metering.hosted.sql import (
    Statement,
    condition,
    literal,
    quoted,
    stored_value,
    wire_value,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE_MAX_BYTES = 10_000_000_000
# Few enough that the interpreter is never held long.
LINES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class FileRecipe:
    """What a file is made of; `watermark` goes where the format has a place for it."""

    source: Path
    columns: tuple[Column, ...]
    row_filter: Expression | None
    form: Format
    watermark: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was written: how many rows it has, and the hash of its bytes."""

    rows: int
    sha256: str


def make_file(connection: DuckDBPyConnection, recipe: FileRecipe, target: Path) -> Made:
    """Write the file to `target`, durably.

    Refuses with `AnswerTooLarge`; fails with `FileAway` when it cannot be read or written.
    """
    write = _write_parquet if recipe.form is Format.PARQUET else _write_csv
    with _told_as_ours():
        rows = write(connection, recipe, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
            return Made(rows, hashlib.file_digest(file, "sha256").hexdigest())


def _write_parquet(connection: DuckDBPyConnection, recipe: FileRecipe, target: Path) -> int:
    columns = ", ".join(f"{stored_value(c)} AS {quoted(c.name)}" for c in recipe.columns)
    marks = ", ".join(f"{name}: {literal(text)}" for name, text in recipe.watermark.items())
    rows = _rows(recipe, columns)
    written = connection.execute(
        f"COPY ({rows.text}) TO {literal(str(target))} "
        f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{marks}}})",
        list(rows.parameters),
    ).fetchone()
    assert written is not None
    return int(written[0])


def _write_csv(connection: DuckDBPyConnection, recipe: FileRecipe, target: Path) -> int:
    """Whole lines come out of DuckDB: a cell each in Python would hold the interpreter too long."""
    rows = _rows(recipe, csv_line(recipe.columns))
    result = connection.execute(rows.text, list(rows.parameters))
    count = 0
    with target.open("wb") as file:
        size = file.write(csv_header(recipe.columns))
        while batch := result.fetchmany(LINES_AT_ONCE):
            size += file.write("".join([line for (line,) in batch]).encode())
            count += len(batch)
            if size > FILE_MAX_BYTES:
                raise AnswerTooLarge(
                    "The file is too large as CSV; take it as Parquet.", max_bytes=FILE_MAX_BYTES
                )
    return count


def _rows(recipe: FileRecipe, select: str) -> Statement:
    """The rows that the contract opens, in the file's own order."""
    where = Statement("TRUE") if recipe.row_filter is None else condition(recipe.row_filter)
    # Names in quotes and fixed words: the values of the filter are in the parameters.
    # No ORDER BY: the engine keeps a file's order by itself, and would sort all of it in memory.
    text = f"SELECT {select} FROM read_parquet(?) AS t WHERE {where.text}"  # noqa: S608
    return Statement(text, (str(recipe.source), *where.parameters))


def csv_line(columns: Sequence[Column]) -> str:
    """A row as one line of CSV, in SQL: what `formats.csv_rows` says of cells holds here too."""
    # One flat call: a thousand columns joined by operators nest deeper than the engine takes.
    cells = ", ',', ".join(_cell(column) for column in columns)
    return f"concat({cells}, chr(13), chr(10))"


def _cell(column: Column) -> str:
    value = wire_value(column)
    if column.kind is Kind.FLOAT:
        return f"CASE WHEN isfinite({value}) THEN ({value})::VARCHAR ELSE '' END"
    if column.kind in NUMERIC or column.kind is Kind.BOOLEAN:
        return f"coalesce(({value})::VARCHAR, '')"
    text = f"({value})::VARCHAR"
    formula = f"left({text}, 1) IN ({_FORMULA_STARTS}) AND NOT regexp_full_match({text}, {_NUMBER})"
    safe = f"CASE WHEN {formula} THEN '''' || {text} ELSE {text} END"
    in_quotes = f"""'"' || replace({safe}, '"', '""') || '"'"""
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN {text} = '' OR regexp_matches({text}, {_TO_QUOTE})"
        f" THEN {in_quotes} ELSE {safe} END"
    )


@contextmanager
def _told_as_ours() -> Iterator[None]:
    import duckdb  # loaded by now: a connection of it is in use

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise AnswerTooLarge("The file needs too much room to be made.") from error
    except (duckdb.Error, OSError) as error:
        raise FileAway("The data cannot be read at the moment.") from error


_FORMULA_STARTS = "'=', '+', '-', '@', chr(9), chr(13), '＝', '＋', '－', '＠'"
_NUMBER = r"'[+-]?[0-9]+(\.[0-9]+)?'"
_TO_QUOTE = r"""'[",\r\n]|^[\s\pZ]|[\s\pZ]$'"""
