"""Converting: an uploaded file becomes Parquet, with its facts; nothing is kept of a bad one."""

from __future__ import annotations

import codecs
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.listings.conditions.meeting import CUT
from app.listings.datafiles.duck import closed_database, identifier, literal
from app.listings.datafiles.formats import PARQUET_MAGIC, SourceFormat
from app.listings.datafiles.reading import Column, relation_of
from app.listings.errors import FileRefused

if TYPE_CHECKING:
    import duckdb

SAMPLE_ROWS = 10
SAMPLE_TEXT_CHARS = 200
BLOCK_BYTES = 1 << 20
VALUE_MAX_BYTES = 1_000_000

# Bytes of a value, for the types whose values have no bound of their own.
_LENGTHS = {"VARCHAR": "strlen", "BLOB": "octet_length"}

_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_SAFE_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Converted:
    """A table as Parquet at `path`, not yet in its place. `sha256` is of what was uploaded."""

    path: Path
    rows: int
    columns: Sequence[dict[str, str]]
    sample: Sequence[dict[str, Any]]
    sha256: str
    size_bytes: int
    parquet_sha256: str
    parquet_size_bytes: int


def convert(source: Path, source_format: SourceFormat, target: Path) -> Converted:
    """Write the table in `source` to `target` as Parquet; raises `FileRefused` when it is none.

    Takes seconds for large files, in DuckDB's own threads without the GIL: call it in a worker
    thread and outside of any transaction.
    """
    sha256 = _inspect(source, source_format)
    with closed_database(source, target) as connection:
        relation = relation_of(connection, source, source_format)
        connection.execute(
            f"COPY ({relation.select()}) TO {literal(str(target))}"
            " (FORMAT parquet, COMPRESSION zstd)"
        )
        kept = f"read_parquet({literal(str(target))})"
        rows = _count_rows(connection, kept, relation.columns)
        columns = ", ".join(
            f"CAST({identifier(column.name)} AS VARCHAR)" for column in relation.columns
        )
        first = connection.execute(
            f"SELECT {columns} FROM {kept} LIMIT {SAMPLE_ROWS}"  # noqa: S608  quoted names
        ).fetchall()
    return Converted(
        path=target,
        rows=rows,
        columns=[{"name": column.name, "type": column.type} for column in relation.columns],
        sample=[_sample_row(relation.columns, row) for row in first],
        sha256=sha256,
        size_bytes=source.stat().st_size,
        parquet_sha256=_sha256(target),
        parquet_size_bytes=target.stat().st_size,
    )


def _count_rows(connection: duckdb.DuckDBPyConnection, kept: str, columns: Sequence[Column]) -> int:
    """The rows of what was kept; refuses a table with a value that no page could carry."""
    widths = ["0"] + [
        f"coalesce(max({_LENGTHS[column.type]}({identifier(column.name)})), 0)"
        for column in columns
        if column.type in _LENGTHS
    ]
    counted = connection.execute(
        f"SELECT count(*), greatest({', '.join(widths)}) FROM {kept}"  # noqa: S608  quoted names
    ).fetchall()
    rows, widest = counted[0]
    if widest > VALUE_MAX_BYTES:
        raise FileRefused(f"A value is longer than {VALUE_MAX_BYTES} bytes.", rule="value")
    return int(rows)


def _inspect(source: Path, source_format: SourceFormat) -> str:
    """The file's SHA-256, after a look at its bytes: text is UTF-8 without NUL, Parquet is PAR1."""
    digest = hashlib.sha256()
    is_text = source_format is not SourceFormat.PARQUET
    decoder = codecs.getincrementaldecoder("utf-8")()
    first = True
    with source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if first and block.startswith(PARQUET_MAGIC) is is_text:
                raise FileRefused(f"The file is not {source_format.value}.", rule="format")
            first = False
            if is_text:
                _check_text(decoder, block)
    if first:
        raise FileRefused("The file is empty.", rule="empty")
    if is_text:
        _check_text(decoder, b"", final=True)
    return digest.hexdigest()


def _check_text(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> None:
    if b"\0" in block:
        raise FileRefused("The file holds a NUL byte: it is not text.", rule="nul")
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        raise FileRefused("The file is not UTF-8; convert it from GBK first.", rule="utf-8") from (
            error
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sample_row(columns: Sequence[Column], values: Sequence[str | None]) -> dict[str, Any]:
    return {
        column.name: _sample_value(column.type, value)
        for column, value in zip(columns, values, strict=True)
    }


def _sample_value(type_name: str, value: str | None) -> Any:
    """A value as JSON can carry it exactly; everything else as short text."""
    if value is None:
        return None
    if type_name == "BOOLEAN":
        return value == "true"
    if type_name in _INTEGERS and abs(int(value)) <= _SAFE_INTEGER:
        return int(value)
    if type_name in ("DOUBLE", "FLOAT") and math.isfinite(float(value)):
        return float(value)
    clean = value.replace("\0", "\ufffd")  # PostgreSQL's JSON holds no NUL
    return clean if len(clean) <= SAMPLE_TEXT_CHARS else clean[:SAMPLE_TEXT_CHARS] + CUT
