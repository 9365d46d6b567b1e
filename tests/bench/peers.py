"""Peers of the tally: the same calls, each settled by itself before it is answered.

They take the tally's place in the product's own gateway: token, grant, page and answer are the
same code, and only how a call is counted differs.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from typing import Any, Protocol

import asyncpg
from sqlalchemy import make_url

from app.metering.tally.calls import Call, Outcome, Settled

POOL = 8
LIMIT = 10**12
TAKE = f"UPDATE peer_counter SET used = used + 1 WHERE id = 1 AND used < {LIMIT} RETURNING used"
NOTE = "INSERT INTO peer_event (id, at, request) VALUES ({}, {}, {})"
TABLES = (
    "CREATE TABLE IF NOT EXISTS peer_counter (id INTEGER PRIMARY KEY, used BIGINT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS peer_event
    (id VARCHAR(40) PRIMARY KEY, at BIGINT NOT NULL, request VARCHAR(64) NOT NULL)""",
)


class Peer(Protocol):
    """Settles one call; durable before it returns."""

    async def submit(self, call: Call) -> Settled:
        """What became of the call."""
        ...


class SqlitePeer:
    """One transaction per call in a file beside the usage store's."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path + ".peer", isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *TABLES):
            self._connection.execute(statement)
        self._connection.execute("INSERT OR IGNORE INTO peer_counter VALUES (1, 0)")

    async def submit(self, call: Call) -> Settled:
        """Count and note the call in one transaction."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        used = execute(TAKE).fetchone()[0]
        execute(NOTE.format("?", "?", "?"), (call.event_id, call.at_us, call.request_sha256))
        execute("COMMIT")
        return posted(call, used)


class PostgresPeer:
    """One transaction per call on one of a few connections."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._opened: asyncio.Task[asyncpg.Pool] | None = None

    async def submit(self, call: Call) -> Settled:
        """Count and note the call in one transaction."""
        if self._opened is None:
            self._opened = asyncio.create_task(self._open())
        pool = await asyncio.shield(self._opened)
        async with pool.acquire() as connection, connection.transaction():
            used = await connection.fetchval(TAKE)
            note = NOTE.format("$1", "$2", "$3")
            await connection.execute(note, call.event_id, call.at_us, call.request_sha256)
        return posted(call, used)

    async def _open(self) -> asyncpg.Pool:
        pool = await asyncpg.create_pool(self._dsn, min_size=POOL, max_size=POOL)
        for statement in TABLES:
            await pool.execute(statement)
        await pool.execute("INSERT INTO peer_counter VALUES (1, 0) ON CONFLICT DO NOTHING")
        return pool


# What usage_settle does, as one script: key, quota, event, number; it returns the units used.
SCRIPT = """
if ARGV[5] ~= '' and redis.call('EXISTS', KEYS[1] .. ':key:' .. ARGV[5]) == 1 then
  return -2
end
local used = tonumber(redis.call('GET', KEYS[1] .. ':used') or '0') + tonumber(ARGV[4])
if used > tonumber(ARGV[6]) then
  return -1
end
redis.call('SET', KEYS[1] .. ':used', string.format('%d', used))
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[1] .. ':key:' .. ARGV[5], ARGV[1], 'EX', 86400)
end
local number = redis.call('INCR', KEYS[1] .. ':number')
redis.call('XADD', KEYS[1] .. ':events', '*', 'number', number, 'event', ARGV[1], 'at', ARGV[2],
  'request', ARGV[3], 'units', ARGV[4])
return used
"""


class RedisPeer:
    """One Lua script per call on one connection, calls written as they come (pipelined).

    A client of our own, because it must not be slower than need be: the usual ones in Python cost
    more than the script.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._wire: asyncio.Task[_Wire] | None = None
        self._script = b""

    async def submit(self, call: Call) -> Settled:
        """Count and note the call in one script."""
        if self._wire is None:
            self._wire = asyncio.create_task(self._open())
        wire = self._wire.result() if self._wire.done() else await asyncio.shield(self._wire)
        used = await wire.call(
            b"EVALSHA",
            self._script,
            b"1",
            call.frame.grant_id.encode(),
            call.event_id.encode(),
            b"%d" % call.at_us,
            call.request_sha256.encode(),
            b"%d" % call.units,
            (call.key_sha256 or "").encode(),
            b"%d" % LIMIT,
        )
        if used < 0:
            return Settled(Outcome.OVER_LIMIT, call.event_id, 0, call.at_us)
        return posted(call, used)

    async def _open(self) -> _Wire:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(_Wire, "127.0.0.1", self._port)
        # A script's name is a text of fixed length, told like a status: see `_Wire`.
        self._script = await wire.load(SCRIPT.encode())
        return wire


class _Wire(asyncio.Protocol):
    """As much of the Redis protocol as answers in whole numbers need."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._rest = b""

    def connection_made(self, transport: Any) -> None:  # uvloop's are of a class of their own
        self._transport: asyncio.WriteTransport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if not line.startswith(b"$"):  # the length of the text that follows
                self._waiting.popleft().set_result(line)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._waiting:
            future.set_exception(exc or ConnectionError("Redis has gone"))

    async def call(self, *words: bytes) -> int:
        """The number that a command answers."""
        line = await self._send(words)
        assert line.startswith(b":"), line
        return int(line[1:])

    async def load(self, script: bytes) -> bytes:
        """The name under which a script is kept."""
        return await self._send((b"SCRIPT", b"LOAD", script))

    def _send(self, words: tuple[bytes, ...]) -> asyncio.Future[bytes]:
        future = self._loop.create_future()
        self._waiting.append(future)
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        self._transport.write(b"".join(parts))
        return future


def posted(call: Call, used: int) -> Settled:
    """The answer to a counted call."""
    units = (used,) * len(call.frame.counters)
    return Settled(Outcome.POSTED, call.event_id, used, call.at_us, units)


def sql_peer(url: str) -> Peer:
    """The peer that keeps its counter in the database of the usage store."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        assert parsed.database is not None
        return SqlitePeer(parsed.database)
    return PostgresPeer(parsed.set(drivername="postgresql").render_as_string(False))
