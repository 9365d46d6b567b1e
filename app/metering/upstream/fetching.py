"""Fetching: one call to a provider's upstream, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from app.kernel.addresses import Allowance, resolve_host
from app.kernel.sealing import MasterKeys, SealBroken
from app.metering.upstream.answers import Headers, Upstream, UpstreamAnswer, UpstreamRequest
from app.metering.upstream.breaker import Breaker
from app.metering.upstream.credentials import Credential, open_credential
from app.metering.upstream.errors import (
    MethodNotAllowed,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from app.metering.upstream.guarding import AddressDenied, ResolveName
from app.metering.upstream.headers import is_plainly_framed, request_headers, response_headers
from app.metering.upstream.pools import ProviderPools
from app.metering.upstream.targets import join_path, read_query

MEMORY_ENTRIES_MAX = 10_000
CONNECT_MAX_S = 5.0

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer whose headers are here and whose body still comes; `length` is None if untold."""

    status: int
    headers: Headers
    length: int | None
    _content: aiohttp.StreamReader = field(repr=False)

    async def chunks(self, max_bytes: int) -> AsyncIterator[bytes]:
        """The body in pieces; raises `UpstreamTooLarge` once it is known to be over the cap."""
        if self.length is not None and self.length > max_bytes:
            raise UpstreamTooLarge(max_bytes)
        size = 0
        while True:
            with _as_failure():
                chunk = await self._content.readany()
            if not chunk:
                return
            size += len(chunk)
            if size > max_bytes:
                raise UpstreamTooLarge(max_bytes)
            yield chunk

    async def read(self, max_bytes: int) -> bytes:
        """The whole body; raises `UpstreamTooLarge` when it is over the cap."""
        return b"".join([chunk async for chunk in self.chunks(max_bytes)])


class UpstreamClient:
    """Calls upstreams from one event loop; `close` it there."""

    def __init__(
        self,
        keys: MasterKeys,
        allowances: Sequence[Allowance],
        *,
        resolve: ResolveName = resolve_host,
    ) -> None:
        self._keys = keys
        self._pools = ProviderPools(allowances, resolve)
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._credentials: OrderedDict[object, Credential] = OrderedDict()

    async def fetch(self, upstream: Upstream, request: UpstreamRequest) -> UpstreamAnswer:
        """The upstream's complete answer: 2xx or 4xx, but not 401 or 407.

        Refuses with `MethodNotAllowed` or `PathRefused`; fails with `UpstreamFailed`,
        `UpstreamTimeout`, `UpstreamTooLarge` or `UpstreamBusy`, after which nothing is billed.
        """
        breaker = _remembered(self._breakers, upstream.listing_id, Breaker)
        if wait_s := breaker.wait_s(time.monotonic()):
            raise UpstreamFailed("breaker", retry_after_s=wait_s)
        breaker.start()
        try:
            async with asyncio.timeout(upstream.timeout_s), self.open(upstream, request) as opened:
                body = await opened.read(upstream.body_max_bytes)
                if self._credential_of(upstream).is_echoed_in(body):
                    raise UpstreamFailed("echo")
        except UpstreamUnreachable:
            breaker.fail(time.monotonic())
            raise
        except UpstreamFailed:
            # It does answer: what one buyer asks for must not cut off the others.
            breaker.succeed()
            raise
        except TimeoutError as error:
            breaker.abandon()
            raise UpstreamTimeout from error
        except BaseException:
            breaker.abandon()
            raise
        breaker.succeed()
        return UpstreamAnswer(opened.status, opened.headers, body)

    @asynccontextmanager
    async def open(self, upstream: Upstream, request: UpstreamRequest) -> AsyncIterator[OpenAnswer]:
        """The upstream's answer while its body comes; leaving early drops the connection.

        Sets no deadline on the whole and asks no breaker; else as `fetch`.
        """
        if not upstream.offers(request.method):
            raise MethodNotAllowed(
                "This listing does not offer this method.",
                headers={"Allow": ", ".join(sorted(upstream.methods))},
            )
        credential = self._credential_of(upstream)
        target = _target(upstream, request, credential)
        headers = _headers(request, credential)
        async with self._pools.place(upstream.provider_id) as session:
            with _as_failure():
                response = await session.request(
                    request.method,
                    target,
                    headers=headers,
                    allow_redirects=False,
                    timeout=_connect_timeout(upstream.timeout_s),
                )
            try:
                yield _checked(response, credential)
            finally:
                response.close()

    async def close(self) -> None:
        """Drop every connection."""
        await self._pools.close()

    def _credential_of(self, upstream: Upstream) -> Credential:
        try:
            return _remembered(
                self._credentials,
                (upstream.listing_id, upstream.credential),
                lambda: open_credential(upstream.credential, upstream.listing_id, self._keys),
            )
        except SealBroken as error:
            raise UpstreamFailed("credential") from error


def _target(upstream: Upstream, request: UpstreamRequest, credential: Credential) -> URL:
    path = join_path(upstream.url, request.path)
    query = credential.add_to_query(read_query(request.query))
    return URL(upstream.url.origin + path + (f"?{query}" if query else ""), encoded=True)


def _headers(request: UpstreamRequest, credential: Credential) -> list[tuple[str, str]]:
    headers = request_headers(request.headers)
    replaced = credential.headers()
    names = {name.lower() for name, _ in replaced}
    return [pair for pair in headers if pair[0].lower() not in names] + replaced


def _checked(response: aiohttp.ClientResponse, credential: Credential) -> OpenAnswer:
    """The answer, unless its status or headers make it none that a buyer may see."""
    status = response.status
    if not is_plainly_framed(response.raw_headers):
        raise UpstreamFailed("broken")
    if not 200 <= status < 500:
        raise UpstreamFailed("status", upstream_status=status)
    if status < 400 and status >= 300:
        raise UpstreamFailed("redirect", upstream_status=status)
    if status in {401, 407}:
        raise UpstreamFailed("credential", upstream_status=status)
    headers = response_headers(response.raw_headers)
    if any(credential.is_echoed_in(value) for _, value in headers):
        raise UpstreamFailed("echo")
    length = None if response.method == "HEAD" else response.content_length
    return OpenAnswer(status, headers, length, response.content)


@contextmanager
def _as_failure() -> Iterator[None]:
    """Tell what the HTTP client raises as `UpstreamFailed`; our deadline stays `TimeoutError`."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise UpstreamUnreachable from error
    except TimeoutError:
        raise
    except aiohttp.ClientConnectorError as error:
        raise (UpstreamFailed("address") if _is_denied(error) else UpstreamUnreachable()) from error
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        raise UpstreamFailed("broken") from error


def _is_denied(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, AddressDenied):
        cause = cause.__cause__
    return cause is not None


def _connect_timeout(timeout_s: float) -> aiohttp.ClientTimeout:
    """Bounds connecting alone, well inside the deadline of the call, to tell the two apart."""
    return aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_MAX_S, timeout_s / 2))


def _remembered(memory: OrderedDict[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
    """`memory[key]`, made if missing; the longest unused entry goes when there are too many."""
    found = memory.get(key)
    if found is None:
        found = memory[key] = make()
        if len(memory) > MEMORY_ENTRIES_MAX:
            memory.popitem(last=False)
    else:
        memory.move_to_end(key)
    return found
