"""Archive files: a month's events as Parquet, the columns of `usage_event` in order of number.

The same rows make the same bytes (one thread, one order), so a file that was half made is simply
made again; and any tool that reads Parquet reads these.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from app.metering.tables import usage_event

if TYPE_CHECKING:
    import duckdb

ROW_GROUP = 50_000
AT_ONCE = 5_000
CHUNK = 1 << 20
FOREVER = 2**63 - 1
_NULL = "\\N"
NAMES: Sequence[str] = tuple(column.name for column in usage_event.columns)


def write_events(path: Path, rows: Iterator[Sequence[Any]]) -> int:
    """Write rows of `usage_event`, which come by grant and number, to `path`; how many there were.

    The file appears whole or not at all, and is on disk when this returns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text, part = (path.with_name(f".{path.name}.{end}") for end in ("csv", "part"))
    try:
        count = _write_csv(text, rows)
        with _engine() as engine:
            engine.execute(
                f"COPY (SELECT * FROM read_csv({_quoted(text)}, header=false, auto_detect=false, "  # noqa: S608 - names of ours
                f"nullstr={_quoted(_NULL)}, columns={{{_columns()}}})) TO {_quoted(part)} "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
            )
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        text.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return count


def read_events(
    path: Path, grant_id: str | None = None, first: int = 1, last: int = FOREVER
) -> Iterator[Sequence[Sequence[Any]]]:
    """The file's rows in their order, some thousand at a time: all, or a range of one grant's."""
    question = (
        f"SELECT {', '.join(NAMES)} FROM read_parquet({_quoted(path)}) "  # noqa: S608 - names of ours
        "WHERE number BETWEEN ? AND ? AND (? IS NULL OR grant_id = ?)"
    )
    with _engine() as engine:
        found = engine.execute(question, [first, last, grant_id, grant_id])
        while rows := found.fetchmany(AT_ONCE):
            yield rows


def numbers_settled(
    path: Path, piece: tuple[str, int, int], within_us: tuple[int, int], most: int
) -> tuple[int, int] | None:
    """The first and last number of the `most` first events of a grant's range that were settled
    within a half-open stretch of time; None for none.
    """
    numbers = (
        f"SELECT number FROM read_parquet({_quoted(path)}) WHERE grant_id = ? "  # noqa: S608 - names of ours
        "AND number BETWEEN ? AND ? AND settled_at_us >= ? AND settled_at_us < ? "
        "ORDER BY number LIMIT ?"
    )
    question = f"SELECT min(number), max(number) FROM ({numbers})"  # noqa: S608 - built above
    with _engine() as engine:
        row = engine.execute(question, [*piece, *within_us, most]).fetchone()
    return None if row is None or row[0] is None else (int(row[0]), int(row[1]))


def place_in_file(
    path: Path, event_id: str, grant_ids: Sequence[str] = ()
) -> tuple[str, int] | None:
    """The grant and number of an event; None when the file does not hold it.

    With `grant_ids` only theirs are looked at, which is quick: rows stand by grant.
    """
    among = f" AND grant_id IN ({', '.join('?' * len(grant_ids))})" if grant_ids else ""
    question = (
        f"SELECT grant_id, number FROM read_parquet({_quoted(path)}) "  # noqa: S608 - names of ours
        f"WHERE event_id = ?{among} LIMIT 1"
    )
    with _engine() as engine:
        row = engine.execute(question, [event_id, *grant_ids]).fetchone()
    return None if row is None else (str(row[0]), int(row[1]))


def file_sha256(path: Path) -> str | None:
    """The hash of the file's bytes; None when it is not there."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _write_csv(path: Path, rows: Iterator[Sequence[Any]]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for row in rows:
            writer.writerow([_NULL if value is None else value for value in row])
            count += 1
    return count


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with _database().cursor() as cursor:
        yield cursor


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for the process: it takes a tenth of a second to make."""
    import duckdb

    # Two threads would write row groups in the order in which they come to be ready.
    return duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"})


# A child that shared its parent's would share its locks.
os.register_at_fork(after_in_child=_database.cache_clear)


def _columns() -> str:
    def kind(column: sa.Column[Any]) -> str:
        return "VARCHAR" if isinstance(column.type, sa.String) else "BIGINT"

    return ", ".join(f"'{column.name}': '{kind(column)}'" for column in usage_event.columns)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _sync(path: Path) -> None:
    """Have what was written to a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
