"""Fsck on a system at work: nothing looks broken while calls settle and contracts are signed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import aiohttp
import pytest

from app.db.installation import Installation
from app.kernel.clock import SystemClock, local_day
from app.opening import open_home
from app.reports.fsck import check_everything
from app.sandbox.deals import Wish, sign_contract
from app.sandbox.goods import world_gdp
from app.sandbox.parties import API
from app.settings import load_settings
from tests.conftest import Databases
from tests.deployment import Deployment, Sale
from tests.faults.test_exactness import run, settled, until_in_force

CALLERS = 8
LOOKS = 5


@pytest.fixture
def deployment(databases: Databases, engine_name: str) -> Iterator[Deployment]:
    urls = {store: databases.empty_url(engine_name) for store in ("market", "usage")}
    opened = Deployment(urls, workers=2, seal_every_s="0.3", checkpoint_every_s="0.2")
    opened.start()
    yield opened
    opened.close()


async def call_until(stop: Event, url: str, headers: dict[str, str]) -> int:
    """Calls from some callers at once; how many were answered with data."""
    answered = 0

    async def caller(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while not stop.is_set():
            async with session.get(url) as answer:
                await answer.read()
                answered += answer.status == 200

    async with aiohttp.ClientSession(headers=headers) as session:
        await asyncio.gather(*(caller(session) for _ in range(CALLERS)))
    return answered


def deal_until(stop: Event, sale: Sale) -> int:
    """Contracts on the same goods, one after the other, each suspended and resumed; how many."""
    signed = 0
    while not stop.is_set():
        at = SystemClock().now()
        today = local_day(at)
        days = (today, today + timedelta(days=30))
        wish = Wish(sale.listed.listing_id, sale.listed.plan_id, "RESEARCH", "hosted", *days)
        contract = sign_contract(sale.provider, sale.buyer, wish, at)
        for step, body in (("suspend", {"reason": "核对"}), ("resume", None)):
            sale.buyer.client.post(f"{API}/contracts/{contract['id']}/{step}", body)
        signed += 1
    return signed


def opened(deployment: Deployment) -> Installation:
    """The same stores, seen from this process."""
    names = {"market_url": "ZHIGU_MARKET_URL", "usage_url": "ZHIGU_USAGE_URL"}
    urls = {name: deployment.env[variable] for name, variable in names.items()}
    return open_home(load_settings(home=Path(deployment.home), **urls))


def test_fsck_is_silent_while_calls_settle_and_contracts_are_signed(
    deployment: Deployment,
) -> None:
    goods = world_gdp()
    quota = {"window": "day", "limit_units": 1_000_000, "overage": "block"}
    goods = replace(goods, plan={**goods.plan, "quotas": [quota]})
    sale = deployment.sell(goods, channel="hosted")
    token = sale.buyer.client.fresh_token()
    headers = {"Authorization": f"Bearer {token}", "Contract": sale.contract_id}
    url = f"{deployment.url}/data/{sale.listed.slug}/rows?limit=1"
    run(until_in_force(url, headers))
    installation = opened(deployment)
    stop = Event()
    seen = [len(settled(deployment, sale)[0])]
    with ThreadPoolExecutor(2) as pool:
        calls = pool.submit(asyncio.run, call_until(stop, url, headers))
        deals = pool.submit(deal_until, stop, sale)
        try:
            for _ in range(LOOKS):
                assert list(check_everything(installation)) == []
                seen.append(len(settled(deployment, sale)[0]))
        finally:
            stop.set()
        answered, signed = calls.result(60), deals.result(60)
    assert seen == sorted(set(seen)), "each look was taken while calls settled"
    assert answered >= seen[-1] > 0
    assert signed > 1, "contracts were signed meanwhile"
    assert list(check_everything(installation)) == []
    installation.market.dispose()
    installation.usage.dispose()
