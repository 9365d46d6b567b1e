"""One contract shared by four workers: as exact as with one, and no slower."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import aiohttp
import sqlalchemy as sa

from app.db.engine import make_engine
from app.metering.tables import usage_window
from app.sandbox.goods import world_gdp
from tests.bench.load import load_tool, shoot_interleaved, throughput
from tests.bench.metered import FEW, MANY, metered
from tests.bench.report import Bar, Line
from tests.bench.serving import ENGINES, Shop, opened, plentiful, stores
from tests.deployment import Deployment

WORKERS = 4
NOT_BELOW = Bar(1.0)
EXACT = Bar(1.0)
LIMIT = 2_000
CALLS = 3_000


def workers_lines() -> Iterator[Line]:
    """What four workers answer together / what one does; and calls served / units counted."""
    load_tool()
    for engine in ENGINES:
        with stores(engine) as many_urls, stores(engine) as one_urls:
            many = Deployment(many_urls, workers=WORKERS)
            one = Deployment(one_urls)
            goods = plentiful(world_gdp())
            with opened(many, goods, "hosted") as ours, opened(one, goods, "hosted") as peer:
                taken = shoot_interleaved(
                    {
                        (side, connections): metered(shop, connections)
                        for connections in (FEW, MANY)
                        for side, shop in (("ours", ours), ("peer", peer))
                    }
                )
        for connections in (FEW, MANY):
            name = f"one contract, {engine}, {connections} connections, {WORKERS} workers / 1"
            found, beside = taken["ours", connections], taken["peer", connections]
            yield throughput(name, found, beside, NOT_BELOW)
        yield _exact(engine)


def _exact(engine: str) -> Line:
    """Half as many calls again as the quota allows, from many connections to four workers."""
    with stores(engine) as urls:
        deployment = Deployment(urls, workers=WORKERS)
        with opened(deployment, plentiful(world_gdp(), LIMIT), "hosted") as shop:
            answers = asyncio.run(_call(shop))
            found = _used_units(urls["usage"], shop.sale.grant_id)
    name = f"one contract, {engine}, {WORKERS} workers, {CALLS:,} calls at a quota of {LIMIT:,}"
    told = f"{name}: served / counted"
    # Whatever is neither served nor refused for the quota is an error: it may have been counted.
    errors = CALLS - answers[200] - answers[429] + abs(found - answers[200])
    return Line(told, [answers[200]], [found], EXACT, errors=errors)


async def _call(shop: Shop) -> Counter[int]:
    """How many calls were answered with each status."""
    found: Counter[int] = Counter()
    left = iter(range(CALLS))

    async def caller(client: aiohttp.ClientSession) -> None:
        for _ in left:
            async with client.get(shop.url + shop.page_path, headers=shop.headers) as answer:
                await answer.read()
                found[answer.status] += 1

    # A connection belongs to one worker: many, so that all four are called.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        await asyncio.gather(*(caller(client) for _ in range(64)))
    return found


def _used_units(usage_url: str, grant_id: str) -> int:
    engine = make_engine(usage_url)
    counter = sa.select(usage_window.c.used_units).where(
        usage_window.c.grant_id == grant_id, usage_window.c.kind == "month"
    )
    with engine.connect() as connection:
        found = connection.execute(counter).scalar_one()
    engine.dispose()
    return int(found)
