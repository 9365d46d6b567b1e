"""What the benchmark serves: the product, a bare Litestar route, and one SQL transaction per call.

All three run in the same worker process of the same server, so that a ratio compares code and not
machines. The peer answers the same page through Litestar and settles each call in a transaction of
its own, as most meters do; it checks neither token nor grant, which is in its favour.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from typing import Any, Protocol

import asyncpg
from litestar import Litestar, get
from sqlalchemy import make_url

from app.kernel.ids import new_id
from app.main import MountedGateway, serving_app

POOL = 8
TAKE = "UPDATE peer_counter SET used = used + 1 WHERE id = 1 AND used < 1000000000"
NOTE = "INSERT INTO peer_event (id, at) VALUES ({}, {})"
TABLES = (
    "CREATE TABLE IF NOT EXISTS peer_counter (id INTEGER PRIMARY KEY, used BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS peer_event (id VARCHAR(32) PRIMARY KEY, at BIGINT NOT NULL)",
)
PAGE: dict[str, Any] = {"items": [], "next_cursor": None}


class Settler(Protocol):
    """One transaction per call, durable before it returns."""

    async def settle(self) -> None: ...


class SqliteSettler:
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path + ".peer", isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *TABLES):
            self._connection.execute(statement)
        self._connection.execute("INSERT OR IGNORE INTO peer_counter VALUES (1, 0)")

    async def settle(self) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(TAKE)
        execute(NOTE.format("?", "?"), (new_id("evt"), 0))
        execute("COMMIT")


class PostgresSettler:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._opened: asyncio.Task[asyncpg.Pool] | None = None

    async def settle(self) -> None:
        if self._opened is None:
            self._opened = asyncio.create_task(self._open())
        pool = await asyncio.shield(self._opened)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(TAKE)
            await connection.execute(NOTE.format("$1", "$2"), new_id("evt"), 0)

    async def _open(self) -> asyncpg.Pool:
        pool = await asyncpg.create_pool(self._dsn, min_size=POOL, max_size=POOL)
        for statement in TABLES:
            await pool.execute(statement)
        await pool.execute("INSERT INTO peer_counter VALUES (1, 0) ON CONFLICT DO NOTHING")
        return pool


def make_settler(url: str) -> Settler:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        assert parsed.database is not None
        return SqliteSettler(parsed.database)
    return PostgresSettler(parsed.set(drivername="postgresql").render_as_string(False))


class BenchApp:
    """`/bare` is Litestar alone; `/peer/…` is the product's call, settled one by one."""

    def __init__(self, product: MountedGateway, settler: Settler) -> None:
        self._product = product
        self._settler = settler
        self._bare = Litestar([bare], openapi_config=None, logging_config=None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path == "/bare":
            await self._bare(scope, receive, send)
        elif path.startswith("/peer/"):
            await self._settler.settle()
            await self._bare({**scope, "path": "/bare"}, receive, send)
        else:
            await self._product(scope, receive, send)


@get("/bare")
async def bare() -> dict[str, Any]:
    """The same page that the metered call answers, encoded by Litestar at each call."""
    return PAGE


def bench_app() -> BenchApp:
    """The factory that the server is given; the page comes from the environment."""
    PAGE.update(json.loads(os.environ["BENCH_PAGE"]))
    return BenchApp(serving_app(), make_settler(os.environ["BENCH_USAGE_URL"]))
