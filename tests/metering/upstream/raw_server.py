"""An upstream that answers with whatever bytes a test wants, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from app.kernel.addresses import UpstreamUrl
from app.kernel.sealing import MasterKeys
from app.metering.upstream import Upstream, UpstreamRequest, upstream_of
from app.settings import Settings, UpstreamAllowance

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LISTING = "lst_01k0000000000000000000000a"
PROVIDER = "org_01k0000000000000000000000a"
KEYS = MasterKeys("test", {"test": b"k" * 32})
BODY_MAX_BYTES = 100_000


@dataclass
class RawServer:
    """One listening socket on loopback."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/base"


def fixed(answer: bytes) -> Behaviour:
    """Answer each request on a connection with the same bytes, then close it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return behave


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed HTTP/1.1 answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(
    behave: Behaviour,
    *,
    keep_alive: bool = False,
    server: RawServer | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[RawServer]:
    server = server or RawServer()
    open_writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        open_writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                server.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await behave(reader, writer)
                if not keep_alive:
                    break
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in open_writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def loopback_at(port: int) -> tuple[UpstreamAllowance, ...]:
    return Settings(upstream_allow=(f"127.0.0.1/32:{port}",)).upstream_allowances()


def sealed(secret: str) -> str:
    return KEYS.seal(secret.encode(), f"upstream:{LISTING}")


def upstream_at(url: str, **changes: object) -> Upstream:
    """An upstream as a compiled grant describes it."""
    document: dict[str, object] = {
        "listing_id": LISTING,
        "base_url": url,
        "auth": {"kind": "none"},
        "timeout_s": 5,
        "body_max_bytes": BODY_MAX_BYTES,
        "methods": ["GET"],
    }
    return upstream_of(document | changes, PROVIDER)


def unchecked(url: UpstreamUrl, upstream: Upstream) -> Upstream:
    """`upstream` at a URL that no registration would accept."""
    return replace(upstream, url=url)


def get(path: str = "/rows", query: str = "", **headers: str) -> UpstreamRequest:
    pairs = tuple((n.replace("_", "-").encode(), v.encode()) for n, v in headers.items())
    return UpstreamRequest("GET", path.encode(), query.encode(), pairs)
