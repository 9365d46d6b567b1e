"""What the benchmark serves: the product, a bare Litestar route, and peers that settle one by one.

All run in the same worker process of the same server, so that a ratio compares code and not
machines. `/peer/sql/data/…` and `/peer/redis/data/…` are the product's gateway with another tally.
"""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from litestar import Litestar, get

from app.main import MountedGateway, serving_app
from app.metering.gateway.gateway import Gateway
from tests.bench.peers import Peer, RedisPeer, sql_peer

PREFIX = "/peer/"
PAGE: dict[str, Any] = {"items": [], "next_cursor": None}


class BenchApp:
    """Serves `/bare` by Litestar alone and `/peer/{name}/data/…` by the gateway with that peer."""

    def __init__(self, product: MountedGateway, peers: dict[str, Peer]) -> None:
        self._product = product
        self._peers = peers
        self._gateways: dict[str, Gateway] = {}
        self._bare = Litestar([bare], openapi_config=None, logging_config=None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path == "/bare":
            await self._bare(scope, receive, send)
        elif path.startswith(PREFIX):
            name, _, rest = path.removeprefix(PREFIX).partition("/")
            gateway = self._gateways.get(name) or self._with_peer(name)
            path = f"/{rest}"
            await gateway({**scope, "path": path, "raw_path": path.encode()}, receive, send)
        else:
            await self._product(scope, receive, send)

    def _with_peer(self, name: str) -> Gateway:
        """The product's running gateway, but for its tally."""
        gateway = copy.copy(self._product._gateway)
        assert isinstance(gateway, Gateway)
        gateway._tally = self._peers[name]  # type: ignore[assignment]
        self._gateways[name] = gateway
        return gateway


@get("/bare")
async def bare() -> dict[str, Any]:
    """A page like the one that the metered call answers, encoded by Litestar at each call."""
    return PAGE


def bench_app() -> BenchApp:
    """The factory that the server is given; pages and peers come from the environment."""
    PAGE.update(json.loads(os.environ["BENCH_PAGE"]))
    peers: dict[str, Peer] = {"sql": sql_peer(os.environ["BENCH_USAGE_URL"])}
    if port := os.environ.get("BENCH_REDIS_PORT"):
        peers["redis"] = RedisPeer(int(port))
    return BenchApp(serving_app(), peers)
