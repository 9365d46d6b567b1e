"""Connection pools: one per provider, so that a slow one holds up only its own calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from app.http.connecting import GuardedConnector, GuardedResolver, ResolveName
from app.kernel.addresses import Allowance
from app.metering.upstream.errors import UpstreamBusy

IDLE_CONNECTION_S = 30.0
PROVIDER_CONNECTIONS_MAX = 64
PROVIDER_CALLS_MAX = 256
POOLS_MAX = 256
LOOKUP_THREADS = 16


@dataclass(slots=True)
class _Pool:
    session: aiohttp.ClientSession
    calls: int = 0


class ProviderPools:
    """The pools of one event loop; the longest unused are closed when there are too many."""

    def __init__(self, allowances: Sequence[Allowance], resolve: ResolveName) -> None:
        self._allowances = tuple(allowances)
        self._resolve = resolve
        self._pools: OrderedDict[str, _Pool] = OrderedDict()
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    @asynccontextmanager
    async def place(self, provider_id: str) -> AsyncIterator[aiohttp.ClientSession]:
        """The provider's session for the length of one call; raises `UpstreamBusy` when crowded."""
        if provider_id not in self._pools:
            await self._close_idle()
        # No await from here to the count: what is looked up is not closed under our hands.
        pool = self._pools.get(provider_id)
        if pool is None:
            pool = self._pools[provider_id] = _Pool(self._new_session())
        self._pools.move_to_end(provider_id)
        if pool.calls >= PROVIDER_CALLS_MAX:
            raise UpstreamBusy
        pool.calls += 1
        try:
            yield pool.session
        finally:
            pool.calls -= 1

    async def close(self) -> None:
        """Drop every connection."""
        pools, self._pools = self._pools, OrderedDict()
        for pool in pools.values():
            await pool.session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _close_idle(self) -> None:
        spare = len(self._pools) + 1 - POOLS_MAX
        idle = [key for key, pool in self._pools.items() if not pool.calls][: max(0, spare)]
        for pool in [self._pools.pop(key) for key in idle]:
            await pool.session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=GuardedConnector(
                self._allowances,
                GuardedResolver(self._allowances, self._resolve, self._threads),
                limit=PROVIDER_CONNECTIONS_MAX,
                keepalive_timeout=IDLE_CONNECTION_S,
            ),
            headers={"User-Agent": "zhigu"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
