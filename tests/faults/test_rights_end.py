"""Rights end while calls are under way: a contract is suspended, a client's key is revoked (F-C3).

The policy, as it is played here:

- no call that begins over a second after the cut is served, on any worker;
- a contract that ends between a call's admission and its settlement: the call is refused and not
  counted, although the provider has answered;
- a key that is revoked meanwhile: the call was admitted by it and is served and counted, for the
  contract still holds;
- a stream whose headers are out was settled before them: it goes on to its end, and counts once.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.sandbox.http_client import Answer, send
from app.sandbox.parties import API
from tests.conftest import Databases
from tests.faults.judging import Note, Verdict
from tests.faults.shops import Shop
from tests.faults.test_exactness import settled

DEED = "a contract or a key ends between admission and settlement, and in mid-stream"
BOUND_S = 1.0
CALLERS = 4
ENOUGH = 20
WITHIN_S = 20
STREAM_BYTES = 60_000_000  # more than all sockets on the way hold
LONG_CALL_S = 1.5


@dataclass
class Heard:
    """What bystanders were answered: when each call began, and its status or receipt."""

    calls: list[tuple[float, int]] = field(default_factory=list)
    receipts: set[str] = field(default_factory=set)

    def since(self, at_s: float) -> list[int]:
        """The statuses of the calls that began after a moment."""
        return [status for began_s, status in self.calls if began_s > at_s]

    def note(self, began_s: float, answer: Answer) -> None:
        self.calls.append((began_s, answer.status))
        if answer.status == 200:
            self.receipts.add(answer.headers["usage-receipt"])

    def wait_for(self, status: int, since_s: float) -> None:
        """Wait until enough calls that began after a moment were answered so."""
        until = time.monotonic() + WITHIN_S
        while self.since(since_s).count(status) < ENOUGH:
            assert time.monotonic() < until, self.since(since_s)[-5:]
            time.sleep(0.02)


@contextmanager
def calling(shop: Shop, heard: Heard) -> Iterator[None]:
    """Callers who call again and again until the block ends."""
    stop = threading.Event()

    def caller() -> None:
        while not stop.is_set():
            began_s = time.monotonic()
            heard.note(began_s, shop.call())
            time.sleep(0.01)

    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(caller) for _ in range(CALLERS)]
        try:
            yield
        finally:
            stop.set()
    for one in running:
        one.result()


class Stream:
    """A download of which only the beginning has been read."""

    def __init__(self, shop: Shop) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", shop.deployment.port, timeout=30)
        path = f"{shop.path}/faults/huge?bytes={STREAM_BYTES}"
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {shop.token}"})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self.receipt = self._answer.headers["Usage-Receipt"]
        self._size = len(self._answer.read(1000))

    def rest(self) -> int:
        """Read on to the end; how many bytes came in all."""
        self._size += len(self._answer.read())
        self._connection.close()
        return self._size


def play(shop: Shop, heard: Heard, cut: Callable[[], object], refused: int) -> tuple[Answer, int]:
    """Cut the rights in the middle of a stream and a long call.

    What the long call was answered, and how many were served that began too late.
    """
    heard.wait_for(200, time.monotonic())
    stream = Stream(shop)
    heard.receipts.add(stream.receipt)
    key = f"long-{refused}"
    url = f"{shop.deployment.url}{shop.path}/faults/hang?seconds={LONG_CALL_S}&observer={key}"
    with ThreadPoolExecutor(1) as pool:
        headers = {"Authorization": f"Bearer {shop.token}"}
        long_call: Future[Answer] = pool.submit(send, "GET", url, None, headers)
        while not shop.upstream.asked(key):
            time.sleep(0.01)
        cut()
        cut_s = time.monotonic()
        heard.wait_for(refused, cut_s + BOUND_S)
        answer = long_call.result()
    assert shop.upstream.served(key) == 1, "the upstream has answered it"
    assert stream.rest() == STREAM_BYTES
    heard.note(cut_s, answer)
    late = heard.since(cut_s + BOUND_S)
    assert set(late) <= {refused, 503}, "whoever is not served is told why"
    return answer, late.count(200)


def test_a_cut_is_felt_within_a_second_and_what_was_begun_ends_by_the_written_policy(
    databases: Databases, engine_name: str, open_shop: Callable[..., Shop], note: Note
) -> None:
    shop = open_shop({store: databases.empty_url(engine_name) for store in ("market", "usage")})
    seller, admin = shop.sale.provider.client, shop.deployment.admin
    contract = f"{API}/contracts/{shop.sale.contract_id}"
    clients = f"{API}/organisations/{shop.sale.buyer.organisation_id}/clients"
    heard = Heard()
    with calling(shop, heard):
        suspended, served_late = play(
            shop, heard, lambda: seller.post(f"{contract}/suspend", {"reason": "核对"}), 403
        )
        assert suspended.json()["type"] == "urn:zhigu:problem:grant-suspended"
        seller.post(f"{contract}/resume")
        revoked, more_late = play(
            shop,
            heard,
            lambda: admin.post(f"{clients}/{shop.sale.buyer.client_id}/revoke"),
            401,
        )
        assert (revoked.status, revoked.body) == (200, b"at last")
    numbers, ids, used = settled(shop.deployment, shop.sale)
    assert (numbers, used) == (list(range(1, len(ids) + 1)), {len(ids)})
    assert shop.deployment.zhigu("fsck") == ""
    note(
        DEED,
        Verdict(
            times=2,
            acknowledged=len(heard.receipts),
            lost=len(heard.receipts - ids),
            twice=len(ids - heard.receipts),
            over=served_late + more_late,
        ),
    )
