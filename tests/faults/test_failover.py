"""The server of both stores is lost under load, and a standby takes its place (F-A3).

The standby is synchronous, as an operator who cannot lose a call must have it: a commit is
acknowledged when both have it on disk, and waits where one is away. Both servers stand in each of
the product's two URLs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.faults.judging import Note
from tests.faults.shops import Shop, loaded, verdict_on
from tests.faults.test_store_away import STORES, check_unavailable
from tests.postgres import Postgres, Standby, either_of

DEED = "the server of both stores is lost under load, and its standby takes over"


@pytest.fixture
def standby(postgres: Postgres) -> Iterator[Standby]:
    """A server that follows the test's own, stores and all."""
    for store in STORES:
        postgres.create(store)
    found = postgres.standby()
    yield found
    found.close()


@contextmanager
def writing(shop: Shop) -> Iterator[list[str]]:
    """Somebody opens negotiations until the block ends: those that he was told are open."""
    opened: list[str] = []
    ending = threading.Event()

    def write() -> None:
        while not ending.wait(0.02):
            answer = shop.write()
            assert answer.status in (201, 503), answer.body
            if answer.status == 201:
                opened.append(answer.json()["id"])

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(write)
        try:
            yield opened
        finally:
            ending.set()
        running.result(60)


def test_the_standby_takes_over_and_has_all_that_was_acknowledged(
    postgres: Postgres, standby: Standby, open_shop: Callable[..., Shop], note: Note, long: bool
) -> None:
    shop = open_shop(
        {store: either_of(postgres.url(store), standby.url(store)) for store in STORES}
    )
    with loaded(shop), writing(shop) as opened:
        shop.wait_until_served(200)
        standby.close()
        time.sleep(0.5)  # for what was on its way
        told = len(shop.journal.receipts), len(opened)
        time.sleep(7 if long else 1)  # at length: past the moment at which a batch is tried again
        assert (len(shop.journal.receipts), len(opened)) == told, "one server alone has it"
        standby.start()
        shop.wait_until_served(told[0] + 200)
        postgres.crash()
        before = len(opened)
        for answer in (shop.call(), shop.read(), shop.write()):
            check_unavailable(answer)
        standby.promote()
        promoted_s = time.monotonic()
        shop.wait_until_served(len(shop.journal.receipts) + 200)
        assert shop.probe("/readyz").status == 200
        assert shop.read().status == 200
        assert shop.write().status == 201
    assert 0 < before < len(opened)
    for negotiation_id in opened:
        assert shop.ask("GET", f"/api/v1/negotiations/{negotiation_id}").status == 200
    note(DEED, verdict_on(shop, promoted_s))
