"""Pages: one query run on a connection, its rows made into the bytes of an answer.

Runs in a thread of the engine; holds no state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.listings.conditions.errors import QueryRefused
from app.listings.conditions.expressions import Expression
from app.metering.hosted.cursors import Place, write_cursor
from app.metering.hosted.errors import AnswerTooLarge, FileAway
from app.metering.hosted.formats import Format, csv_header, csv_rows, json_page, json_rows
from app.metering.hosted.query import HostedQuery
from app.metering.hosted.sql import Statement, literal, page_statement, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ANSWER_MAX_BYTES = 16_000_000
# Few enough that the interpreter is never held long, and that a wide row shows its size in time.
BATCH_ROWS = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A finished answer: its bytes, how many rows it holds, and the cursor of the next."""

    body: bytes
    rows: int
    next_cursor: str | None


def text_page(
    connection: DuckDBPyConnection,
    query: HostedQuery,
    row_filter: Expression | None,
    file: Path,
    form: Format,
) -> Page:
    """The page as JSON or CSV; refuses with `AnswerTooLarge`, fails with `FileAway`."""
    statement = page_statement(query, row_filter, str(file), as_stored=False)
    encode = partial(json_rows if form is Format.JSON else csv_rows, query.select)
    pieces: list[bytes] = [] if form is Format.JSON else [csv_header(query.select)]
    size = rows = 0
    last: Sequence[Any] = ()
    more = False
    with _told_as_ours(query):
        result = connection.execute(statement.text, list(statement.parameters))
        while not more and (batch := result.fetchmany(BATCH_ROWS)):
            more = rows + len(batch) > query.limit
            batch = batch[: query.limit - rows]
            pieces.append(encode(batch))
            rows, size = rows + len(batch), size + len(pieces[-1])
            _check_size(size)
            last = batch[-1] if batch else last
    next_cursor = _cursor(query, last) if more else None
    body = json_page(pieces, next_cursor) if form is Format.JSON else b"".join(pieces)
    return Page(body, rows, next_cursor)


def parquet_page(
    connection: DuckDBPyConnection,
    query: HostedQuery,
    row_filter: Expression | None,
    file: Path,
    scratch: Path,
    watermark: Mapping[str, str],
) -> Page:
    """The page as a Parquet file with `watermark` in its key-value metadata."""
    statement = page_statement(query, row_filter, str(file), as_stored=True)
    with _told_as_ours(query), _page_table(connection, statement):
        found = _one(connection, "SELECT count(*) FROM page")[0]
        rows = min(found, query.limit)
        next_cursor = None
        if found > query.limit:
            keys = "".join(f"k{n}, " for n in range(len(query.order)))
            last = f"SELECT {keys}r FROM page LIMIT 1 OFFSET {query.limit - 1}"  # noqa: S608  numbers of ours
            next_cursor = _cursor(query, _one(connection, last))
        return Page(_parquet(connection, query, scratch, watermark), rows, next_cursor)


@contextmanager
def _page_table(connection: DuckDBPyConnection, statement: Statement) -> Iterator[None]:
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE page AS {statement.text}", list(statement.parameters)
    )
    try:
        yield
    finally:
        connection.execute("DROP TABLE page")


def _parquet(
    connection: DuckDBPyConnection, query: HostedQuery, scratch: Path, watermark: Mapping[str, str]
) -> bytes:
    columns = ", ".join(f"c{n} AS {quoted(c.name)}" for n, c in enumerate(query.select))
    marks = ", ".join(f"{name}: {literal(text)}" for name, text in watermark.items())
    target = scratch / f"{os.urandom(8).hex()}.parquet"
    try:
        connection.execute(
            f"COPY (SELECT {columns} FROM page LIMIT {query.limit}) "  # noqa: S608  quoted names
            f"TO {literal(str(target))} (FORMAT parquet, KV_METADATA {{{marks}}})"
        )
        _check_size(target.stat().st_size)
        return target.read_bytes()
    finally:
        target.unlink(missing_ok=True)


def _one(connection: DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def _cursor(query: HostedQuery, last: Sequence[Any]) -> str:
    """The cursor behind `last`, a row that ends in the sort keys and the row number."""
    keys = last[len(last) - 1 - len(query.order) : -1]
    return write_cursor(Place(last[-1], tuple(keys)), query.fingerprint())


def _check_size(size: int) -> None:
    if size > ANSWER_MAX_BYTES:
        raise AnswerTooLarge(
            "The answer is too large; ask for fewer rows or columns.", max_bytes=ANSWER_MAX_BYTES
        )


@contextmanager
def _told_as_ours(query: HostedQuery) -> Iterator[None]:
    """Tell the engine's errors as ours: a value that does not fit, too much, or a bad file."""
    import duckdb  # loaded by now: a connection of it is in use

    try:
        yield
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        parameter = "where" if query.after is None else "cursor"
        raise QueryRefused("A value does not fit its column.", parameter) from error
    except duckdb.OutOfMemoryException as error:
        raise AnswerTooLarge("The query needs too much room; ask for less of it.") from error
    except duckdb.Error as error:
        raise FileAway("The data cannot be read at the moment.") from error
