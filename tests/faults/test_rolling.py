"""A rolling restart under load: one server is told to stop while another serves, and no client
notices (F-A9).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from app.sandbox.http_client import Answer, send
from tests.conftest import Databases
from tests.deployment import Deployment
from tests.faults.judging import Note
from tests.faults.shops import Shop, loaded, verdict_on
from tests.faults.test_supervising import wait_until_gone

DEED = "SIGTERM of one server after the other under load, while another takes over"
PROBE_EVERY_S = 0.05
DRAIN_DELAY_S = 1.0
# Longer than a server waits before it stops: it is in the middle of this call then.
LONG_CALL_S = 2.0


class Balancer:
    """A load balancer: sends calls to those servers that said last that they are ready."""

    def __init__(self, servers: list[Deployment], path: str) -> None:
        self._urls = [server.url for server in servers]
        self._path = path
        self._turns = itertools.count()
        self.ready: list[str] = []
        self.told: dict[str, list[tuple[int, tuple[str, ...]]]] = {url: [] for url in self._urls}

    def __call__(self) -> str:
        """Where the next call goes."""
        ready = self.ready
        return ready[next(self._turns) % len(ready)] + self._path

    def look(self) -> None:
        """Ask every server whether it is ready."""
        self.ready = [url for url in self._urls if self._is_ready(url)]

    def _is_ready(self, url: str) -> bool:
        try:
            answer = send("GET", f"{url}/readyz", None, {})
        except OSError:
            self.told[url].append((0, ()))
            return False
        self.told[url].append((answer.status, tuple(answer.json()["missing"])))
        return answer.status == 200

    def wait_for(self, url: str) -> None:
        """Wait until calls go to this server too."""
        until = time.monotonic() + 20
        while url not in self.ready:
            assert time.monotonic() < until, "it does not become ready"
            time.sleep(PROBE_EVERY_S)


@contextmanager
def looking(balancer: Balancer) -> Iterator[None]:
    """The balancer asks until the end of the block."""
    stop = threading.Event()

    def keep_looking() -> None:
        while not stop.wait(PROBE_EVERY_S):
            balancer.look()

    balancer.look()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(keep_looking)
        try:
            yield
        finally:
            stop.set()
        running.result()


def call_under_key(shop: Shop, server: Deployment, path: str, key: str) -> Answer:
    """A call to one of the servers; what it was answered with is in the journal."""
    headers = {"Authorization": f"Bearer {shop.token}", "Idempotency-Key": key}
    answer = send("GET", f"{server.url}{shop.path}{path}observer={key}", None, headers)
    if answer.status == 200:
        shop.journal.answered(key, answer.headers["usage-receipt"])
    return answer


def until_it_knows_the_grant(shop: Shop, server: Deployment) -> None:
    """Wait until a server has heard of the contract."""
    until = time.monotonic() + 20
    path, key = "/v1/divisions/500108?", f"first-{server.port}"
    while call_under_key(shop, server, path, key).status != 200:
        assert time.monotonic() < until, "the grant did not come into force"
        time.sleep(0.05)


def stop_in_the_middle(shop: Shop, balancer: Balancer, server: Deployment, key: str) -> None:
    """SIGTERM while a long call is in the server's hands; it says so, ends it, and is gone."""
    group = server.group()
    before = len(balancer.told[server.url])
    path = f"/faults/hang?seconds={LONG_CALL_S}&"
    with ThreadPoolExecutor(1) as pool:
        long_call: Future[Answer] = pool.submit(call_under_key, shop, server, path, key)
        while not shop.upstream.asked(key):
            time.sleep(0.01)
        assert server.terminate() == 0
        answer = long_call.result()
    assert (answer.status, answer.body) == (200, b"at last")
    wait_until_gone(group)
    told = [status for status, _ in balancer.told[server.url][before:]]
    draining = {missing for status, missing in balancer.told[server.url][before:] if status == 503}
    assert draining == {("draining",)}
    assert told[: told.index(503)] == [200] * told.index(503), "it says so before it is gone"


def test_servers_are_restarted_one_after_the_other_and_no_client_notices(
    databases: Databases, open_shop: Callable[..., Shop], note: Note, long: bool
) -> None:
    urls = {store: databases.empty_url("postgres") for store in ("market", "usage")}
    shop = open_shop(urls, drain_delay_s=str(DRAIN_DELAY_S))
    times = 2 if long else 1
    with ExitStack() as stack:
        second = shop.deployment.another()
        stack.callback(second.close)
        second.start()
        servers = [shop.deployment, second]
        for server in servers:
            until_it_knows_the_grant(shop, server)
        balancer = Balancer(servers, f"{shop.path}/v1/divisions/500108")
        with looking(balancer), loaded(shop, balancer):
            for turn in range(times):
                server = servers[turn % 2]
                shop.wait_until_served(len(shop.journal.receipts) + 50)
                since_s = time.monotonic()
                stop_in_the_middle(shop, balancer, server, f"long-{turn}")
                shop.wait_until_served(len(shop.journal.receipts) + 50)
                if turn + 1 < times:
                    server.start()
                    balancer.wait_for(server.url)
        journal = shop.journal
        assert (journal.statuses, journal.broken, journal.overdue) == ({200}, 0, 0)
        assert set(journal.receipts) <= set(shop.upstream.counts.served)
        note(DEED, verdict_on(shop, since_s, times))
