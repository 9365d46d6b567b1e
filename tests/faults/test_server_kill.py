"""kill -9 of the server as it is installed: all of its processes at once, and one worker of two.

`test_kill.py` plays the same hundreds of times, at named points, with the gateway alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import aiohttp
import pytest

from app.sandbox.goods import divisions_api, world_gdp
from tests.conftest import Databases
from tests.deployment import Deployment, Sale, running_upstream
from tests.faults.judging import Note, Verdict
from tests.faults.loading import Journal, load
from tests.faults.processes import worker_pids
from tests.faults.test_exactness import run, settled, until_in_force


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def store_urls(databases: Databases, engine: str) -> dict[str, str]:
    return {store: databases.empty_url(engine) for store in ("market", "usage")}


async def kill_again_and_again(
    deployment: Deployment, sale: Sale, journal: Journal, chance: random.Random, kills: int
) -> list[float]:
    """Lives of the server, each ended under load at a random moment; those moments."""
    url = f"{deployment.url}/data/{sale.listed.slug}/api/divisions/500108"
    ends = []
    for life in range(kills):
        token = await asyncio.to_thread(sale.buyer.client.fresh_token)
        ending = asyncio.Event()
        work = asyncio.create_task(load(url, token, journal, f"life{life}", ending))
        await asyncio.sleep(chance.uniform(0.2, 0.6))
        await asyncio.to_thread(deployment.kill)
        ends.append(time.monotonic())
        ending.set()
        await asyncio.to_thread(deployment.start)
        await asyncio.wait_for(work, 60)
    return ends


def test_the_whole_server_killed_under_load_loses_and_doubles_nothing(
    databases: Databases, closing: ExitStack, chance: random.Random, note: Note, long: bool
) -> None:
    upstream = closing.enter_context(running_upstream(key="demo-key"))
    allowed = f"127.0.0.1/32:{upstream.url.rpartition(':')[2]}"
    deployment = Deployment(store_urls(databases, "sqlite"), upstream_allow=allowed)
    closing.callback(deployment.close)
    deployment.start()
    goods = divisions_api(f"{upstream.url}/v1", "demo-key")
    quota = {"window": "day", "limit_units": 1_000_000, "overage": "block"}
    sale = deployment.sell(
        replace(goods, plan={**goods.plan, "quotas": [quota]}), channel="upstream"
    )
    journal = Journal()
    kills = 5 if long else 2
    ends = run(kill_again_and_again(deployment, sale, journal, chance, kills))
    numbers, ids, used = settled(deployment, sale)
    assert journal.disagreements == []
    assert numbers == list(range(1, len(ids) + 1))
    assert used == {len(ids)}
    assert set(journal.receipts) <= set(upstream.counts.served), "the upstream saw each of them"
    assert deployment.zhigu("fsck") == ""
    told = set(journal.receipts.values())
    verdict = Verdict(
        times=kills,
        acknowledged=len(told),
        lost=len(told - ids),
        twice=len(journal.receipts) - len(told) + len(ids - told),
        recovered_s=max(map(journal.silence_after, ends)),
    )
    assert verdict.acknowledged > kills, "there was load"
    note("kill -9 of the whole server", verdict)


def test_one_worker_killed_the_rest_serve_on(databases: Databases, closing: ExitStack) -> None:
    deployment = Deployment(store_urls(databases, "postgres"), workers=2)
    closing.callback(deployment.close)
    deployment.start()
    sale = deployment.sell(world_gdp(), channel="hosted")
    token = sale.buyer.client.fresh_token()
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{deployment.url}/data/{sale.listed.slug}/rows?limit=1"
    run(until_in_force(url, headers))
    workers = worker_pids(deployment)
    assert len(workers) >= 2
    os.kill(workers[0], signal.SIGKILL)

    async def call_on() -> list[int]:
        statuses = []
        async with aiohttp.ClientSession(headers=headers) as session:
            for _ in range(40):
                try:
                    async with session.get(url) as answer:
                        statuses.append(answer.status)
                except aiohttp.ClientError:
                    statuses.append(0)
                await asyncio.sleep(0.05)
        return statuses

    statuses = run(call_on())
    assert set(statuses[5:]) == {200}, statuses
    until = time.monotonic() + 20
    while len(worker_pids(deployment)) < 2:
        assert time.monotonic() < until, "the dead worker was not replaced"
        time.sleep(0.1)
    assert deployment.terminate() == 0
    assert deployment.zhigu("fsck") == ""
