"""A hosted query that is not in the cache, beside the same query by DuckDB alone plus encoding.

What each does, so that the ratio can be judged:

    both   the same file, the same rows of the same columns in the same order, JSON by the same
           encoder; an open connection with two threads that reads a file's footer once; the items
           of both are compared before anything is timed
    ours   all of `HostedStore.serve` with a cache that keeps nothing: the URL's query is parsed,
           a thread takes it and hands the answer back, one row more than the page is read, and the
           row number of each, for `next_cursor`; a day becomes text and NaN null; the size of the
           answer is watched; DuckDB is shut off from all but its files
    peer   `execute`, `fetchall`, `encode` in the thread that asks, of ready SQL that selects `*`;
           no row more, no row number, no cursor, no limits

So all that the peer leaves out is ours to pay, and stands in the ratio. A page without a filter or
an order is asked for by its row numbers, which the peer does not do: a buyer of data does not write
its SQL like that.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from app.metering.grants import compiled_from
from app.metering.hosted import HostedGrant, HostedStore, hosted_grant_of
from app.metering.hosted.engine import THREADS
from tests.bench.load import interleaved
from tests.bench.report import Bar, Line, spread
from tests.metering.grant_documents import grant_document

BAR = Bar(1.3, at_most=True)
ROWS = 1_000_000
RUNS = 20
"""How often a query is run in one round; its median is the round's."""


@dataclass(frozen=True)
class Asked:
    """One query, as a buyer asks it and as DuckDB alone does: in the same order, ties and all."""

    name: str
    query: bytes
    statement: str


QUERIES = (
    Asked("a page of 100", b"limit=100", "SELECT * FROM '{file}' LIMIT 100"),
    Asked("a page of 1,000", b"limit=1000", "SELECT * FROM '{file}' LIMIT 1000"),
    Asked(
        "100 filtered rows of a million",
        b"limit=100&where=place%20%3D%20'place%207'",
        "SELECT * FROM '{file}' WHERE place = 'place 7' LIMIT 100",
    ),
    Asked(
        "the first 100 of a million by value",
        b"limit=100&order=value",
        "SELECT * EXCLUDE file_row_number FROM read_parquet('{file}', file_row_number = true) "
        "ORDER BY value NULLS LAST, file_row_number LIMIT 100",
    ),
)


def hosted_lines() -> Iterator[Line]:
    """Each query through the store without its cache / in the same thread count by DuckDB."""
    with tempfile.TemporaryDirectory(prefix="zhigu-bench-") as folder:
        file = Path(folder) / "rows.parquet"
        grant = _make_table(file)
        for asked in QUERIES:
            taken = _compare(asked, file, grant)
            name = f"hosted query not in the cache, {asked.name} / DuckDB alone plus encoding, ms"
            yield Line(name, taken["ours"], taken["peer"], BAR, ".2f")


def _compare(asked: Asked, file: Path, grant: HostedGrant) -> dict[str, list[float]]:
    loop = asyncio.new_event_loop()
    store = HostedStore(file.parent, cache_max_bytes=0)
    alone = duckdb.connect(":memory:", config={"threads": THREADS})
    alone.execute("SET parquet_metadata_cache = true")
    statement = asked.statement.format(file=file)

    def ours() -> float:
        return loop.run_until_complete(_serve(store, grant, asked.query))

    def peer() -> float:
        return _median_ms([_alone_ms(alone, statement) for _ in range(RUNS)])

    try:
        served = loop.run_until_complete(store.serve(grant, asked.query, b""))
        theirs = msgspec.json.decode(_alone(alone, statement))
        assert msgspec.json.decode(served.body)["items"] == theirs["items"], "not the same query"
        return interleaved({"ours": ours, "peer": peer})
    finally:
        store.close()
        alone.close()
        loop.close()


async def _serve(store: HostedStore, grant: HostedGrant, query: bytes) -> float:
    taken = []
    for _ in range(RUNS):
        began_s = time.perf_counter()
        answer = await store.serve(grant, query, b"")
        taken.append((time.perf_counter() - began_s) * 1e3)
        assert not answer.cached
    return _median_ms(taken)


def _alone_ms(connection: duckdb.DuckDBPyConnection, statement: str) -> float:
    began_s = time.perf_counter()
    _alone(connection, statement)
    return (time.perf_counter() - began_s) * 1e3


def _alone(connection: duckdb.DuckDBPyConnection, statement: str) -> bytes:
    result = connection.execute(statement)
    names = [column[0] for column in result.description]
    rows = result.fetchall()
    return msgspec.json.encode({"items": [dict(zip(names, row, strict=True)) for row in rows]})


def _median_ms(taken: Sequence[float]) -> float:
    return spread(taken).median


def _make_table(file: Path) -> HostedGrant:
    """A million rows of a number, two texts, a day and a measure; the grant that opens them."""
    select = f"""
      SELECT i AS number, 'place ' || (i * 7919) % 1000 AS place, 'remark on row ' || i AS remark,
             DATE '2000-01-01' + (i % 9000)::INTEGER AS day, ((i * 7919) % 1000003)::DOUBLE AS value
      FROM range({ROWS}) t(i)"""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({select}) TO '{file}' (FORMAT parquet)")
        described = connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
    columns = [{"name": row[0], "type": row[1]} for row in described]
    told: dict[str, Any] = {"path": file.name, "rows": ROWS, "sha256": "0" * 64, "columns": columns}
    return hosted_grant_of(compiled_from(grant_document(file=told)))
