"""The query engine is shut off from everything but its files, and bounded in time and number."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.metering.hosted import engine as engine_module
from app.metering.hosted.engine import QueryEngine
from app.metering.hosted.errors import HostedBusy, QueryTooSlow
from tests.metering.hosted.files import parquet_of

ENDLESS = "SELECT sum(range % 7) FROM range(1000000000000000)"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[QueryEngine]:
    (tmp_path / "files").mkdir()
    opened = QueryEngine(tmp_path / "files", timeout_s=30)
    yield opened
    opened.close()


def run(engine: QueryEngine, statement: str) -> Any:
    return asyncio.run(engine.run(lambda connection: connection.execute(statement).fetchall()))


def test_it_reads_the_files_below_its_root(engine: QueryEngine) -> None:
    file = engine.root / "a.parquet"
    parquet_of("SELECT 1 AS n", file)
    assert run(engine, f"SELECT * FROM read_parquet('{file}')") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('{root}/../outside.parquet')",
        "SELECT * FROM read_parquet('{root}x/a.parquet')",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/a.parquet')",
        "COPY (SELECT 1) TO '{root}/../out.parquet'",
        "ATTACH 'evil.db'",
        "INSTALL httpfs",
        "LOAD 'evil.so'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '100GB'",
        "PRAGMA threads = 64",
        "EXPORT DATABASE 'evil'",
    ],
)
def test_it_reaches_nothing_else(statement: str, engine: QueryEngine) -> None:
    parquet_of("SELECT 1 AS n", engine.root.parent / "outside.parquet")
    with pytest.raises(duckdb.Error):
        run(engine, statement.replace("{root}", str(engine.root)))


def test_a_query_over_its_time_is_stopped_and_the_thread_serves_the_next(tmp_path: Path) -> None:
    engine = QueryEngine(tmp_path, timeout_s=0.3)
    try:
        for _ in range(engine_module.THREADS + 1):
            with pytest.raises(QueryTooSlow) as failed:
                run(engine, ENDLESS)
            assert failed.value.status == 422
        assert run(engine, "SELECT 1") == [(1,)]
    finally:
        engine.close()


def test_a_query_whose_turn_does_not_come_is_told_that_it_is_busy(tmp_path: Path) -> None:
    engine = QueryEngine(tmp_path, timeout_s=0.3)
    released = threading.Event()

    async def play() -> list[Any]:
        runs = [engine.run(lambda _: released.wait(60)) for _ in range(engine_module.THREADS + 1)]
        results = await asyncio.gather(*runs, return_exceptions=True)
        released.set()
        return results

    try:
        *slow, busy = asyncio.run(play())
        assert all(isinstance(failure, QueryTooSlow) for failure in slow)
        assert isinstance(busy, HostedBusy)
    finally:
        engine.close()


def test_too_many_waiting_queries_are_turned_away_at_once(
    engine: QueryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "WAITING_MAX", 3)

    async def play() -> list[Any]:
        runs = [
            engine.run(lambda connection: connection.execute("SELECT 1").fetchall())
            for _ in range(5)
        ]
        return await asyncio.gather(*runs, return_exceptions=True)

    results = asyncio.run(play())
    assert results[:3] == [[(1,)]] * 3
    assert all(isinstance(failure, HostedBusy) for failure in results[3:])
    assert run(engine, "SELECT 1") == [(1,)]


def test_closing_stops_a_running_query(tmp_path: Path) -> None:
    engine = QueryEngine(tmp_path, timeout_s=600)

    async def play() -> object:
        running = asyncio.create_task(
            engine.run(lambda connection: connection.execute(ENDLESS).fetchall())
        )
        while not any(job.has_begun for job in engine._jobs):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        engine.close()
        return (await asyncio.gather(running, return_exceptions=True))[0]

    assert isinstance(asyncio.run(play()), duckdb.InterruptException)


def test_a_query_that_needs_too_much_memory_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MEMORY_MAX", "20MB")
    engine = QueryEngine(tmp_path, timeout_s=30)
    try:
        with pytest.raises(duckdb.OutOfMemoryException):
            run(engine, "SELECT list(md5(i::VARCHAR) ORDER BY i) FROM range(3000000) t(i)")
        assert run(engine, "SELECT 1") == [(1,)]
    finally:
        engine.close()


def test_the_time_of_a_query_runs_from_its_turn_where_it_may_wait(tmp_path: Path) -> None:
    engine = QueryEngine(tmp_path, timeout_s=0.4, threads=1, wait_s=30)
    endless = [engine.run(lambda one: one.execute(ENDLESS).fetchall()) for _ in range(2)]

    async def story() -> list[object]:
        quick = engine.run(lambda one: one.execute("SELECT 1").fetchall())
        return await asyncio.gather(*endless, quick, return_exceptions=True)

    try:
        *slow, found = asyncio.run(story())
        assert [type(one) for one in slow] == [QueryTooSlow] * 2
        assert found == [(1,)], "what others took is not taken off its own time"
    finally:
        engine.close()
