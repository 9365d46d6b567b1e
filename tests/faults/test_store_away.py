"""A store goes away under load and comes back: 503 meanwhile, nothing lost, nothing to mend."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from app.sandbox.http_client import Answer
from tests.faults.judging import Note
from tests.faults.processes import processes_of
from tests.faults.shops import Shop, counted_on, loaded, verdict_on
from tests.postgres import Postgres

STORES = ("market", "usage")


def check_unavailable(answer: Answer) -> None:
    """503 as a problem document that says when to come again, and nothing else."""
    assert answer.status == 503, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "urn:zhigu:problem:unavailable"
    assert "usage-receipt" not in answer.headers


def test_postgresql_crashes_under_load_and_starts_again(
    postgres: Postgres, open_shop: Callable[..., Shop], note: Note
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
    store: str, postgres: Postgres, open_shop: Callable[..., Shop], note: Note
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
    tmp_path: Path, open_shop: Callable[..., Shop], note: Note
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
    tmp_path: Path, open_shop: Callable[..., Shop], note: Note
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


def test_postgresql_is_restarted_held_up_and_filled_with_strangers(
    postgres: Postgres, open_shop: Callable[..., Shop], note: Note, long: bool
) -> None:
    shop = open_shop({store: postgres.create(store) for store in STORES})
    deeds = (
        ("PostgreSQL is stopped (-m fast) under load and started again", restarted),
        ("a lock is held in the usage store for longer than statements wait", locked),
        ("strangers hold every connection that PostgreSQL has", filled),
    )
    for deed, fault in deeds if long else deeds[1:]:  # a crash, which is worse, is played always
        before = len(shop.journal.receipts)
        with loaded(shop):
            shop.wait_until_served(before + 50)
            with fault(postgres):
                check_unavailable(shop.call())
            back_s = time.monotonic()
            shop.wait_until_served(len(shop.journal.receipts) + 50)
            assert shop.write().status == 201
        assert shop.journal.overdue == 0, "every call ends in time"
        note(deed, counted_on(shop, back_s, before=before))
    assert shop.deployment.zhigu("fsck") == ""


@contextmanager
def restarted(postgres: Postgres) -> Iterator[None]:
    """Stopped as an operator would, and started at the end of the block."""
    postgres.stop()
    yield
    postgres.start()


@contextmanager
def locked(postgres: Postgres) -> Iterator[None]:
    """Every grant is locked by a transaction that does not end."""
    with psycopg.connect(postgres.url("usage")) as connection:
        connection.execute("LOCK TABLE grant_state IN EXCLUSIVE MODE")
        yield


@contextmanager
def filled(postgres: Postgres) -> Iterator[None]:
    """No connection is to be had, and nobody of ours has one."""
    ours = f"FROM pg_stat_activity WHERE datname IN {STORES}"
    with ExitStack() as held:
        first = held.enter_context(psycopg.connect(postgres.url("postgres"), autocommit=True))

        def ours_now() -> int:
            with suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(psycopg.connect(postgres.url("postgres")))
            row = first.execute(f"SELECT count(*) {ours}").fetchone()
            assert row is not None
            return int(row[0])

        while ours_now():
            first.execute(f"SELECT pg_terminate_backend(pid) {ours}")
        yield
