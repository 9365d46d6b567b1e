"""A proxied call beside the same call to the upstream itself, by the same client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp

from app.sandbox.goods import divisions_api
from tests.bench.load import interleaved
from tests.bench.report import Bar, Line, spread
from tests.bench.serving import opened, plentiful, stores
from tests.deployment import Deployment
from tests.live import free_port

BAR_MS = Bar(0.5, at_most=True)
KEY = "upstream-key"
PATH = "/divisions/500103"
BASE = "/v1"  # in the listing
CALLS = 400
WAIT_S = 20


def proxied_lines() -> Iterator[Line]:
    """The median of a call through us, one after the other, and of one to the upstream."""
    with running_upstream() as (upstream, port), stores("embedded") as urls:
        deployment = Deployment(urls, upstream_allow=f"127.0.0.1/32:{port}")
        goods = plentiful(divisions_api(upstream + BASE, KEY))
        with opened(deployment, goods, "upstream") as shop:
            proxied = f"{shop.url}/data/{shop.sale.listed.slug}/api{PATH}"
            key = {"X-Api-Key": KEY}
            with asyncio.Runner() as runner:

                def median_ms(url: str, headers: Mapping[str, str]) -> float:
                    return runner.run(_median_ms(url, headers))

                taken = interleaved(
                    {
                        "ours": lambda: median_ms(proxied, shop.headers),
                        "peer": lambda: median_ms(upstream + BASE + PATH, key),
                    }
                )
    name = "proxied call, embedded, 1 connection / the upstream itself, p50 ms"
    yield Line(name, taken["ours"], taken["peer"], BAR_MS, ".2f", adds=True)


@contextmanager
def running_upstream() -> Iterator[tuple[str, int]]:
    """The demo's upstream in a process of its own: its URL and port, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "app.sandbox.upstream", "--port", str(port), "--key", KEY]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        asyncio.run(_answers(url + BASE + PATH))
        yield url, port
    finally:
        process.terminate()
        process.wait(WAIT_S)


async def _answers(url: str) -> None:
    until = time.monotonic() + WAIT_S
    async with aiohttp.ClientSession() as client:
        while time.monotonic() < until:
            try:
                async with client.get(url, headers={"X-Api-Key": KEY}):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)
    raise AssertionError("the upstream did not start")


async def _median_ms(url: str, headers: Mapping[str, str]) -> float:
    taken = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as client:
        for _ in range(CALLS):
            began_s = time.perf_counter()
            async with client.get(url, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            taken.append((time.perf_counter() - began_s) * 1e3)
    return spread(taken).median
