"""kill -9 under load: what was answered is in the store, once; a retry under its key pays once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import aiohttp
import pytest

from app.sandbox.goods import divisions_api, world_gdp
from tests.conftest import Databases
from tests.deployment import Deployment, Sale, running_upstream
from tests.faults.loading import Journal, load
from tests.faults.processes import worker_pids
from tests.faults.test_exactness import run, settled, until_in_force

KILLS = 20
SEED = int(os.environ.get("ZHIGU_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


async def kill_again_and_again(
    deployment: Deployment, sale: Sale, url: str, journal: Journal, chance: random.Random
) -> None:
    """Twenty lives of the server, each ended under load at a random moment."""
    for life in range(KILLS):
        token = await asyncio.to_thread(sale.buyer.client.fresh_token)
        ending = asyncio.Event()
        work = asyncio.create_task(load(url, token, journal, f"life{life}", ending))
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        await asyncio.to_thread(deployment.kill)
        ending.set()
        await asyncio.to_thread(deployment.start)
        await asyncio.wait_for(work, 60)


@pytest.fixture
def store_urls(databases: Databases, engine_name: str) -> dict[str, str]:
    return {store: databases.empty_url(engine_name) for store in ("market", "usage")}


@pytest.fixture
def deployments() -> Iterator[list[Deployment]]:
    made: list[Deployment] = []
    yield made
    for deployment in made:
        deployment.close()


def test_twenty_kills_under_load_lose_and_double_nothing(
    store_urls: dict[str, str], deployments: list[Deployment]
) -> None:
    print(f"ZHIGU_FAULT_SEED={SEED}")
    with running_upstream(key="demo-key") as upstream:
        port = upstream.url.rpartition(":")[2]
        deployment = Deployment(store_urls, upstream_allow=f"127.0.0.1/32:{port}")
        deployments.append(deployment)
        deployment.start()
        goods = divisions_api(f"{upstream.url}/v1", "demo-key")
        quota = {"window": "day", "limit_units": 1_000_000, "overage": "block"}
        goods = replace(goods, plan={**goods.plan, "quotas": [quota]})
        sale = deployment.sell(goods, channel="upstream")
        url = f"{deployment.url}/data/{sale.listed.slug}/api/divisions/500108"
        journal = Journal()
        chance = random.Random(SEED)
        run(kill_again_and_again(deployment, sale, url, journal, chance))
        numbers, ids, used = settled(deployment, sale)
        served = upstream.counts.served
    assert journal.disagreements == []
    assert len(set(journal.receipts.values())) == len(journal.receipts), "one receipt, one key"
    assert set(journal.receipts.values()) == ids, "what was answered is what is in the store"
    assert numbers == list(range(1, len(ids) + 1))
    assert used == {len(ids)}
    assert len(ids) > KILLS, "there was load"
    assert all(served[key] >= 1 for key in journal.receipts), "the upstream saw each of them"
    assert deployment.zhigu("fsck") == ""


def test_one_worker_killed_the_rest_serve_on(
    store_urls: dict[str, str], deployments: list[Deployment]
) -> None:
    deployment = Deployment(store_urls, workers=2)
    deployments.append(deployment)
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
