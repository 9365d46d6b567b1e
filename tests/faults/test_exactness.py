"""Exact under parallel callers and two worker processes of the server as it is installed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import aiohttp
import pytest
import sqlalchemy as sa

from app.db.engine import make_engine
from app.metering.tables import usage_event, usage_window
from app.sandbox.goods import world_gdp
from tests.conftest import Databases
from tests.deployment import Deployment, Sale

CALLS = 1000
T = TypeVar("T")
QUOTA = 100
FEED_WITHIN_S = 1.0


@pytest.fixture
def deployment(databases: Databases, engine_name: str) -> Iterator[Deployment]:
    urls = {store: databases.empty_url(engine_name) for store in ("market", "usage")}
    opened = Deployment(urls, workers=2)
    opened.start()
    yield opened
    opened.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `work` comes to, on a loop of its own thread: another test may have left one running."""
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def cancellable() -> T:
        begun.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(asyncio.run, cancellable()).result()
        except BaseException:  # our time is over: the work must not go on without us
            for loop, task in begun:
                with suppress(RuntimeError):  # it had ended by itself
                    loop.call_soon_threadsafe(task.cancel if task else loop.stop)
            raise


async def call_in_parallel(url: str, headers: dict[str, str]) -> list[tuple[int, str]]:
    """Every answer's status, and its receipt or problem type."""
    connector = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def call() -> tuple[int, str]:
            async with session.get(url) as answer:
                body = await answer.json(content_type=None)
                if answer.status == 200:
                    return 200, answer.headers["Usage-Receipt"]
                return answer.status, body["type"]

        return await asyncio.gather(*(call() for _ in range(CALLS)))


async def until_in_force(url: str, headers: dict[str, str]) -> None:
    """Wait until every worker knows the grant, asking by a call that is refused uncounted.

    One worker's word is not another's: the change feed promises a second (design.md, "revoked?").
    """
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(200):
            async with session.get(f"{url}&where=nonsense") as answer:
                if answer.status == 400:
                    await asyncio.sleep(FEED_WITHIN_S)
                    return
            await asyncio.sleep(0.05)
    raise AssertionError("the grant did not come into force")


def settled(deployment: Deployment, sale: Sale) -> tuple[list[int], set[str], set[int]]:
    """The numbers and ids of the grant's events, and its counters, read from the store itself."""
    engine = make_engine(deployment.env["ZHIGU_USAGE_URL"])
    with engine.connect() as connection:
        events = connection.execute(
            sa.select(usage_event.c.number, usage_event.c.event_id)
            .where(usage_event.c.grant_id == sale.grant_id)
            .order_by(usage_event.c.number)
        ).all()
        used = connection.scalars(
            sa.select(usage_window.c.used_units).where(usage_window.c.grant_id == sale.grant_id)
        ).all()
    engine.dispose()
    return [event.number for event in events], {event.event_id for event in events}, set(used)


# `test_quota_race.py` plays this on both databases: here it is the server as it is installed.
@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
def test_a_thousand_parallel_calls_against_a_quota_of_a_hundred(deployment: Deployment) -> None:
    sale = deployment.sell(world_gdp(), channel="hosted")
    headers = {"Authorization": f"Bearer {sale.buyer.client.fresh_token()}"}
    url = f"{deployment.url}/data/{sale.listed.slug}/rows?limit=3"
    run(until_in_force(url, headers))
    answers = run(call_in_parallel(url, headers))
    assert Counter(status for status, _ in answers) == {200: QUOTA, 429: CALLS - QUOTA}
    assert {text for status, text in answers if status == 429} == {
        "urn:zhigu:problem:quota-exhausted"
    }
    numbers, ids, used = settled(deployment, sale)
    assert numbers == list(range(1, QUOTA + 1))
    assert used == {QUOTA}
    assert {text for status, text in answers if status == 200} == ids
    assert deployment.zhigu("fsck") == ""
