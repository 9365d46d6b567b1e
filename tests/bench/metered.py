"""The metered call beside a bare route, and beside meters that settle each call by itself."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.load import Aim, load_tool, shoot_interleaved, slowest, throughput
from tests.bench.redis import durable_redis
from tests.bench.report import Bar, Line
from tests.bench.serving import Shop, bench_shop

FEW, MANY = 32, 128
BARS = {"embedded": Bar(0.70), "postgres": Bar(0.40)}
# On SQLite one transaction per call costs a tenth of a millisecond and no round trip: design.md
# sets this bar for PostgreSQL only.
SQL_BARS = {"embedded": None, "postgres": Bar(3.5)}
REDIS_BAR = Bar(1.5)


def metered_lines(engine: str) -> Iterator[Line]:
    """The metered call on one engine / a bare route, and / one SQL transaction per call."""
    load_tool()
    with bench_shop(engine) as shop:
        taken = shoot_interleaved(
            {
                "metered": metered(shop, FEW),
                "bare": Aim(f"{shop.url}/bare", {}, FEW),
                "sql": metered(shop, FEW, "/peer/sql"),
                "metered, many": metered(shop, MANY),
                "bare, many": Aim(f"{shop.url}/bare", {}, MANY),
            }
        )
    for connections, suffix in ((FEW, ""), (MANY, ", many")):
        ours, bare = taken["metered" + suffix], taken["bare" + suffix]
        name = f"metered call, {engine}, {connections} connections / bare route"
        yield throughput(name, ours, bare, BARS[engine])
        yield slowest(name, ours, bare)
    name = f"metered call, {engine}, {FEW} connections / one SQL transaction per call"
    yield throughput(name, taken["metered"], taken["sql"], SQL_BARS[engine])


def redis_lines() -> Iterator[Line]:
    """The metered call / the same handler with one Redis script per call."""
    load_tool()
    with durable_redis() as port, bench_shop("embedded", BENCH_REDIS_PORT=str(port)) as shop:
        taken = shoot_interleaved(
            {"metered": metered(shop, FEW), "redis": metered(shop, FEW, "/peer/redis")}
        )
    name = f"metered call, embedded, {FEW} connections / one Redis script per call"
    yield throughput(name, taken["metered"], taken["redis"], REDIS_BAR)


def metered(shop: Shop, connections: int, prefix: str = "") -> Aim:
    """The metered call, settled by the product or by the peer below `prefix`."""
    return Aim(shop.url + prefix + shop.page_path, shop.headers, connections)
