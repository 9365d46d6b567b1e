"""However large an answer is, memory holds a little of it only."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.metering.upstream import SpoolRoom, UpstreamClient, UpstreamTooLarge
from tests.metering.upstream.raw_server import (
    KEYS,
    Behaviour,
    get,
    loopback_at,
    sealed,
    serving,
    upstream_at,
)

HELD = 2**20
LARGE = 64 * 2**20
FLAT = 10 * 2**20
PIECE = b"x" * 65_536
AUTH = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("s3cret-key-1")}

Story = Callable[[UpstreamClient, str, SpoolRoom], Awaitable[None]]


def giving(head: bytes, frame: bytes, times: int) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        for _ in range(times):
            writer.write(frame)
            await writer.drain()

    return behave


def peak_of(behave: Behaviour, folder: Path, story: Story) -> int:
    """How much more memory than before was in use at most."""

    async def run() -> None:
        async with serving(behave) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            try:
                await story(client, server.url, SpoolRoom(folder))
            finally:
                await client.close()

    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        asyncio.run(run())
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("waits", [True, False])
def test_a_large_answer_passes(tmp_path: Path, waits: bool) -> None:
    async def story(client: UpstreamClient, url: str, room: SpoolRoom) -> None:
        upstream = upstream_at(url, body_max_bytes=2 * LARGE, auth=AUTH, timeout_s=60)
        answer = await client.fetch(upstream, get(), HELD)
        assert answer.rest is not None
        spool = await room.take(answer.body, answer.rest, 2 * LARGE)
        if waits:
            assert await spool.whole() == LARGE
        size = 0
        async for piece in spool.pieces():
            size += len(piece)
        assert size == LARGE
        await spool.close()

    behave = giving(b"Content-Length: %d" % LARGE, PIECE, LARGE // len(PIECE))
    assert peak_of(behave, tmp_path, story) < FLAT


def test_an_answer_without_end_is_cut_off_at_the_cap(tmp_path: Path) -> None:
    async def story(client: UpstreamClient, url: str, room: SpoolRoom) -> None:
        upstream = upstream_at(url, body_max_bytes=LARGE, auth=AUTH, timeout_s=60)
        answer = await client.fetch(upstream, get(), HELD)
        assert answer.rest is not None
        spool = await room.take(answer.body, answer.rest, LARGE)
        with pytest.raises(UpstreamTooLarge):
            await spool.whole()
        await spool.close()

    frame = b"10000\r\n" + PIECE + b"\r\n"
    behave = giving(b"Transfer-Encoding: chunked", frame, 1_000_000)
    assert peak_of(behave, tmp_path, story) < FLAT
