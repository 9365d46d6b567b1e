"""One call to a raw upstream, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.metering.upstream import UpstreamAnswer, UpstreamClient, UpstreamFailed, UpstreamRequest
from tests.metering.upstream.raw_server import (
    KEYS,
    Behaviour,
    RawServer,
    fixed,
    get,
    loopback_at,
    serving,
    upstream_at,
)


def call(
    behave: Behaviour | bytes, request: UpstreamRequest | None = None, **changes: object
) -> tuple[UpstreamAnswer, RawServer]:
    """One call to an upstream that is allow-listed: its answer and the server that was asked."""

    async def play() -> tuple[UpstreamAnswer, RawServer]:
        behaviour = fixed(behave) if isinstance(behave, bytes) else behave
        async with serving(behaviour) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            try:
                upstream = upstream_at(server.url, **changes)
                return await client.fetch(upstream, request or get()), server
            finally:
                await client.close()

    return asyncio.run(play())


def failure(behave: Behaviour | bytes, **changes: object) -> str:
    with pytest.raises(UpstreamFailed) as failed:
        call(behave, **changes)
    assert failed.value.status == 502
    assert failed.value.slug == "upstream-failed"
    return failed.value.reason


def headers_of(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {n.lower(): v for n, _, v in (line.partition(": ") for line in lines if line)}


def play_with_client(
    behave: Behaviour, scenario: Callable[[UpstreamClient, RawServer], Awaitable[Any]]
) -> Any:
    async def play() -> Any:
        async with serving(behave, keep_alive=True) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            try:
                return await scenario(client, server)
            finally:
                await client.close()

    return asyncio.run(play())


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)
