"""Fetching: one call to a provider's upstream, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import aiohttp
from yarl import URL

from app.http.connecting import ResolveName
from app.kernel.addresses import Allowance, resolve_host
from app.kernel.sealing import Sealer
from app.metering.upstream.accesses import Accesses
from app.metering.upstream.answers import Upstream, UpstreamAnswer, UpstreamRequest
from app.metering.upstream.breaker import Breaker
from app.metering.upstream.credentials import Credential
from app.metering.upstream.errors import (
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from app.metering.upstream.failing import as_failure, connect_timeout
from app.metering.upstream.headers import is_plainly_framed, request_headers, response_headers
from app.metering.upstream.opened import Coming, OpenAnswer
from app.metering.upstream.pools import ProviderPools
from app.metering.upstream.remembering import Memory
from app.metering.upstream.targets import join_path, read_query

BREAKERS_MAX = 10_000
BODY_PIECE_BYTES = 2**16


class UpstreamClient:
    """Calls upstreams from one event loop; `close` it there."""

    def __init__(
        self,
        keys: Sealer,
        allowances: Sequence[Allowance],
        *,
        resolve: ResolveName = resolve_host,
    ) -> None:
        self._accesses = Accesses(keys)
        self._pools = ProviderPools(allowances, resolve)
        self._breakers: Memory[str, Breaker] = Memory(BREAKERS_MAX)

    async def fetch(
        self, upstream: Upstream, request: UpstreamRequest, held_max_bytes: int | None = None
    ) -> UpstreamAnswer:
        """The upstream's answer: 2xx or 4xx, but not 401 or 407. A body over
        `held_max_bytes` (None: of any size that is allowed) has only begun to come.

        Refuses with `MethodNotAllowed` or `PathRefused`; fails with `UpstreamFailed`,
        `UpstreamTimeout`, `UpstreamTooLarge` or `UpstreamBusy`, after which nothing is billed.
        """
        breaker = self._breakers.recall_or_make(upstream.listing_id, Breaker)
        if wait_s := breaker.wait_s(time.monotonic()):
            raise UpstreamFailed("breaker", retry_after_s=wait_s)
        breaker.start()
        with _telling(breaker):
            async with AsyncExitStack() as stack, asyncio.timeout(upstream.timeout_s) as deadline:
                opened = await stack.enter_async_context(self.open(upstream, request))
                begun, is_whole = await opened.begin(held_max_bytes or upstream.body_max_bytes)
                if is_whole:
                    return UpstreamAnswer(opened.status, opened.headers, begun)
                ends_at_s = deadline.when()
                assert ends_at_s is not None
                left_s = ends_at_s - asyncio.get_running_loop().time()
                rest = Coming(opened, left_s, stack.pop_all())
        return UpstreamAnswer(opened.status, opened.headers, begun, rest)

    @asynccontextmanager
    async def open(self, upstream: Upstream, request: UpstreamRequest) -> AsyncIterator[OpenAnswer]:
        """The upstream's answer while its body comes; leaving early drops the connection.

        Sets no deadline on the whole and asks no breaker; else as `fetch`.
        """
        upstream.refuse_method(request.method)
        async with self._pools.place(upstream.provider_id) as session:
            credential = await self._accesses.credential(upstream, session)
            response = await _send(session, upstream, request, credential)
            try:
                if response.status == 401 and credential.token is not None:
                    is_another = self._accesses.turn_down(upstream, credential.token)
                    # A POST is sent once, whatever came of it.
                    if is_another and request.body is None:
                        response.close()
                        credential = await self._accesses.credential(upstream, session)
                        response = await _send(session, upstream, request, credential)
                yield _checked(response, credential, upstream.body_max_bytes)
            finally:
                response.close()

    async def close(self) -> None:
        """Drop every connection."""
        await self._pools.close()


@contextmanager
def _telling(breaker: Breaker) -> Iterator[None]:
    """Tell the breaker how a call went that it let through."""
    try:
        yield
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


async def _send(
    session: aiohttp.ClientSession,
    upstream: Upstream,
    request: UpstreamRequest,
    credential: Credential,
) -> aiohttp.ClientResponse:
    target = _target(upstream, request, credential)
    headers = _headers(request, credential)
    with as_failure():
        return await session.request(
            request.method,
            target,
            headers=headers,
            data=_body(request),
            # Who says nothing of his body's type has nothing said for him.
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
            timeout=connect_timeout(upstream.timeout_s),
            ssl=credential.tls or True,
        )


def _target(upstream: Upstream, request: UpstreamRequest, credential: Credential) -> URL:
    path = join_path(upstream.url, request.path)
    query = credential.add_to_query(read_query(request.query))
    return URL(upstream.url.origin + path + (f"?{query}" if query else ""), encoded=True)


def _headers(request: UpstreamRequest, credential: Credential) -> list[tuple[str, str]]:
    headers = request_headers(request.headers, with_body=request.body is not None)
    replaced = credential.headers()
    if request.repeat_key is not None:
        replaced.append(("Idempotency-Key", request.repeat_key))
    names = {name.lower() for name, _ in replaced}
    return [pair for pair in headers if pair[0].lower() not in names] + replaced


def _body(request: UpstreamRequest) -> bytes | io.BytesIO | None:
    body = request.body
    # aiohttp writes bytes in one piece, which would hold up the event loop.
    return io.BytesIO(body) if body is not None and len(body) > BODY_PIECE_BYTES else body


def _checked(
    response: aiohttp.ClientResponse, credential: Credential, max_bytes: int
) -> OpenAnswer:
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
    if length is not None and length > max_bytes:
        raise UpstreamTooLarge(max_bytes)
    return OpenAnswer(status, headers, length, response.content, credential, max_bytes)
