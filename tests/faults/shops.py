"""A shop: a whole deployment with one sale of an upstream's API, under load of clients that keep a
journal.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from app.kernel.clock import SystemClock, local_day
from app.sandbox.goods import divisions_api
from app.sandbox.http_client import Answer, send
from app.sandbox.upstream import RunningUpstream
from tests.deployment import Deployment, Sale, running_upstream
from tests.faults.judging import Verdict
from tests.faults.loading import Journal, Where, load
from tests.faults.test_exactness import settled

BACK_WITHIN_S = 30
BODY_MAX_BYTES = 100_000_000


@dataclass
class Shop:
    """A deployment with one sale, under load of clients that keep a journal."""

    deployment: Deployment
    sale: Sale
    upstream: RunningUpstream
    path: str
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
def loaded(shop: Shop, where: Where | None = None) -> Iterator[None]:
    """Load in a thread of its own; every key that was begun is answered before it ends."""
    url = where or shop.url
    ending, abandoned = threading.Event(), threading.Event()

    async def work() -> None:
        no_more = asyncio.Event()
        task = asyncio.create_task(load(url, shop.token, shop.journal, "load", no_more))
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


def shop_in(stack: ExitStack, urls: dict[str, str], **settings: str) -> Shop:
    """A shop on these stores; it is closed with the stack."""
    upstream = stack.enter_context(running_upstream(key="demo-key"))
    allowed = f"127.0.0.1/32:{upstream.url.rpartition(':')[2]}"
    deployment = Deployment(urls, upstream_allow=allowed, **settings)
    stack.callback(deployment.close)
    deployment.start()
    goods = divisions_api(upstream.url, "demo-key")
    source = {**goods.source["upstream"], "body_max_bytes": BODY_MAX_BYTES}
    quota = {"window": "day", "limit_units": 1_000_000, "overage": "block"}
    goods = replace(goods, plan={**goods.plan, "quotas": [quota]}, source={"upstream": source})
    sale = deployment.sell(goods, channel="upstream")
    path = f"/data/{sale.listed.slug}/api"
    url = f"{deployment.url}{path}/v1/divisions/500108"
    token = sale.buyer.client.fresh_token()
    return Shop(deployment, sale, upstream, path, url, token, Journal())


def verdict_on(shop: Shop, since_s: float, times: int = 1) -> Verdict:
    """What clients were answered against what the store holds; every invariant must hold.

    `since_s` is when the store was whole again.
    """
    assert shop.deployment.zhigu("fsck") == ""
    return counted_on(shop, since_s, times)


def counted_on(shop: Shop, since_s: float, times: int = 1, before: int = 0) -> Verdict:
    """The same without fsck; `before` keys were answered in an earlier deed."""
    numbers, ids, used = settled(shop.deployment, shop.sale)
    assert shop.journal.disagreements == []
    told = set(shop.journal.receipts.values())
    assert numbers == list(range(1, len(ids) + 1))
    assert used == {len(ids)}
    return Verdict(
        times=times,
        acknowledged=len(told) - before,
        lost=len(told - ids),
        twice=len(shop.journal.receipts) - len(told) + len(ids - told),
        recovered_s=shop.journal.silence_after(since_s),
    )
