"""A store goes away under load and comes back: 503 meanwhile, nothing lost, nothing to mend."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.kernel.clock import SystemClock, local_day
from app.sandbox.goods import divisions_api
from app.sandbox.http_client import Answer, send
from tests.deployment import Deployment, Sale, running_upstream
from tests.faults.judging import Note, Verdict
from tests.faults.loading import Journal, load
from tests.faults.processes import processes_of
from tests.faults.test_exactness import settled
from tests.postgres import Postgres

BACK_WITHIN_S = 30
STORES = ("market", "usage")


@dataclass
class Shop:
    """A deployment with one sale, under load of clients that keep a journal."""

    deployment: Deployment
    sale: Sale
    url: str
    token: str
    journal: Journal

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return send(method, self.deployment.url + path, body, headers)

    def call(self) -> Answer:
        """A call for data by a bystander, whom nobody answers with data while a store is away."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return send("GET", f"{self.url}?observer=bystander", None, headers)

    def write(self) -> Answer:
        """A request that changes something: another negotiation is opened."""
        today = local_day(SystemClock().now())
        wish = {
            "listing_id": self.sale.listed.listing_id,
            "plan_id": self.sale.listed.plan_id,
            "purpose": "RESEARCH",
            "channel": "upstream",
            "starts_on": str(today),
            "ends_on": str(today),
        }
        return self.ask("POST", "/api/v1/negotiations", json.dumps(wish).encode())

    def read(self) -> Answer:
        return self.ask("GET", "/api/v1/contracts")

    def probe(self, path: str) -> Answer:
        """What a load balancer is told, which has no token."""
        return send("GET", self.deployment.url + path, None, {})

    def wait_until_served(self, more_than: int) -> None:
        """Wait until more than so many calls have been answered with data."""
        until = time.monotonic() + BACK_WITHIN_S
        while len(self.journal.receipts) <= more_than:
            assert time.monotonic() < until, "calls are not answered"
            time.sleep(0.05)


@contextmanager
def loaded(shop: Shop) -> Iterator[None]:
    """Load in a thread of its own; every key that was begun is answered before it ends."""
    ending, abandoned = threading.Event(), threading.Event()

    async def work() -> None:
        no_more = asyncio.Event()
        task = asyncio.create_task(load(shop.url, shop.token, shop.journal, "load", no_more))
        while not (ending.is_set() or task.done()):
            await asyncio.sleep(0.05)
        no_more.set()
        if not abandoned.is_set():
            await asyncio.wait_for(task, 60)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, work())
        try:
            yield
        except BaseException:
            abandoned.set()
            raise
        finally:
            ending.set()
        running.result(90)


@pytest.fixture
def open_shop() -> Iterator[Callable[[dict[str, str]], Shop]]:
    with ExitStack() as stack:

        def opened(urls: dict[str, str]) -> Shop:
            upstream = stack.enter_context(running_upstream(key="demo-key"))
            allowed = f"127.0.0.1/32:{upstream.url.rpartition(':')[2]}"
            deployment = Deployment(urls, upstream_allow=allowed)
            stack.callback(deployment.close)
            deployment.start()
            goods = divisions_api(f"{upstream.url}/v1", "demo-key")
            quota = {"window": "day", "limit_units": 1_000_000, "overage": "block"}
            goods = replace(goods, plan={**goods.plan, "quotas": [quota]})
            sale = deployment.sell(goods, channel="upstream")
            url = f"{deployment.url}/data/{sale.listed.slug}/api/divisions/500108"
            return Shop(deployment, sale, url, sale.buyer.client.fresh_token(), Journal())

        yield opened


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="zhigu-store-"))
    server = Postgres(folder / "pg")
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


def check_unavailable(answer: Answer) -> None:
    """503 as a problem document that says when to come again, and nothing else."""
    assert answer.status == 503, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "urn:zhigu:problem:unavailable"
    assert "usage-receipt" not in answer.headers


def verdict_on(shop: Shop, since_s: float) -> Verdict:
    """What clients were answered against what the store holds; every invariant must hold.

    `since_s` is when the store was whole again.
    """
    numbers, ids, used = settled(shop.deployment, shop.sale)
    assert shop.journal.disagreements == []
    told = set(shop.journal.receipts.values())
    assert numbers == list(range(1, len(ids) + 1))
    assert used == {len(ids)}
    assert shop.deployment.zhigu("fsck") == ""
    return Verdict(
        times=1,
        acknowledged=len(told),
        lost=len(told - ids),
        twice=len(shop.journal.receipts) - len(told) + len(ids - told),
        recovered_s=shop.journal.silence_after(since_s),
    )


def test_postgresql_crashes_under_load_and_starts_again(
    postgres: Postgres, open_shop: Callable[[dict[str, str]], Shop], note: Note
) -> None:
    shop = open_shop({store: postgres.create(store) for store in STORES})
    with loaded(shop):
        shop.wait_until_served(50)
        postgres.crash()
        for answer in (shop.call(), shop.read(), shop.write()):
            check_unavailable(answer)
        ready = shop.probe("/readyz")
        assert (ready.status, ready.json()["missing"]) == (
            503,
            ["market store is away", "usage store is away"],
        )
        assert shop.probe("/livez").status == 200
        time.sleep(1)  # past the last moment at which what a worker knew would still do
        check_unavailable(shop.call())
        postgres.start()
        back_s = time.monotonic()
        shop.wait_until_served(len(shop.journal.receipts) + 50)
        assert shop.probe("/readyz").status == 200
        assert shop.read().status == 200
        assert shop.write().status == 201
    note("PostgreSQL crashes under load (-m immediate) and starts again", verdict_on(shop, back_s))


@pytest.mark.parametrize("store", STORES)
def test_one_of_the_two_stores_goes_away_and_comes_back(
    store: str, postgres: Postgres, open_shop: Callable[[dict[str, str]], Shop], note: Note
) -> None:
    shop = open_shop({name: postgres.create(name) for name in STORES})
    with loaded(shop):
        shop.wait_until_served(50)
        postgres.execute(f"ALTER DATABASE {store} ALLOW_CONNECTIONS false")
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{store}'"
        )
        time.sleep(1.5)
        check_unavailable(shop.call())
        assert shop.probe("/readyz").json()["missing"] == [f"{store} store is away"]
        if store == "market":
            check_unavailable(shop.read())
            check_unavailable(shop.write())
        else:
            assert shop.read().status == 200
            assert shop.write().status == 201
        postgres.execute(f"ALTER DATABASE {store} ALLOW_CONNECTIONS true")
        back_s = time.monotonic()
        shop.wait_until_served(len(shop.journal.receipts) + 50)
    note("one store refuses and ends every connection under load", verdict_on(shop, back_s))


def test_the_disk_is_full_under_load_and_has_room_again(
    tmp_path: Path, open_shop: Callable[[dict[str, str]], Shop], note: Note
) -> None:
    shop = open_shop({store: f"sqlite:///{tmp_path}/{store}.db" for store in STORES})
    with loaded(shop):
        shop.wait_until_served(50)
        processes = processes_of(shop.deployment)
        limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in processes}
        for pid, (_, hard) in limits.items():  # no file may grow: how a full disk looks from inside
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        check_unavailable(shop.call())
        check_unavailable(shop.write())
        assert shop.read().status == 200
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
        back_s = time.monotonic()
        shop.wait_until_served(len(shop.journal.receipts) + 50)
        assert processes_of(shop.deployment) == processes, "nobody had to be started again"
    note("the disk of the SQLite stores is full under load", verdict_on(shop, back_s))


def test_somebody_else_holds_the_files_for_long(
    tmp_path: Path, open_shop: Callable[[dict[str, str]], Shop], note: Note
) -> None:
    shop = open_shop({store: f"sqlite:///{tmp_path}/{store}.db" for store in STORES})
    with loaded(shop), ExitStack() as locks:
        shop.wait_until_served(50)
        for store in STORES:
            connection = sqlite3.connect(tmp_path / f"{store}.db", isolation_level=None)
            lock = locks.enter_context(closing(connection))
            lock.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(shop.call), pool.submit(shop.write)]
            assert shop.read().status == 200
            for answer in asked:
                check_unavailable(answer.result())
        locks.close()
        back_s = time.monotonic()
        shop.wait_until_served(len(shop.journal.receipts) + 50)
    note("somebody else holds the SQLite files locked under load", verdict_on(shop, back_s))
