"""The disk of PostgreSQL itself is full under load, and has room again (F-A5).

A limit on the size of a process's files stands for the disk, as in `test_full_disk.py`. Where only
tables cannot grow, statements fail and the server lives on. Where its write-ahead log cannot be
written either, PostgreSQL panics, by design. Here it then stays away, for the limit keeps it from
the memory that it shares as well; on a disk it would try by itself, and panic again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from tests.faults.processes import processes_of
from tests.faults.shops import BACK_WITHIN_S, Shop, loaded, verdict_on
from tests.faults.test_store_away import STORES, check_unavailable
from tests.postgres import Postgres

# As long as a file of the write-ahead log: that one may be made anew under the limit.
LOG_FILE_BYTES = 16 * 1024 * 1024
PADDING_ROWS = 100_000
# What is rolled back leaves a file as long as it has become, and in it no room before a vacuum.
PAD = f"""
    INSERT INTO usage_event SELECT padding.*
    FROM (SELECT * FROM usage_event LIMIT 1) AS known, generate_series(1, {PADDING_ROWS}) AS n,
    LATERAL jsonb_populate_record(NULL::usage_event, to_jsonb(known) || jsonb_build_object(
        'grant_id', 'grt_padding', 'number', n, 'event_id', 'evt_padding_' || n
    )) AS padding
"""
SIZE = "SELECT pg_relation_size(tableoid::regclass) FROM usage_event LIMIT 1"


def padded(postgres: Postgres) -> int:
    """How long the file of the events is, once it is longer than any file of the log."""
    postgres.execute("ALTER SYSTEM SET autovacuum = off")
    postgres.execute("SELECT pg_reload_conf()")
    with psycopg.connect(postgres.url("usage")) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger, no foreign key
        connection.execute(PAD)
        connection.rollback()
        row = connection.execute(SIZE).fetchone()
    assert row is not None
    assert row[0] > LOG_FILE_BYTES
    return int(row[0])


def wait_until_refused(shop: Shop) -> None:
    """Wait until calls are answered with 503, and none with data any more."""
    until, known = time.monotonic() + BACK_WITHIN_S, -1
    while 503 not in shop.journal.statuses or known != len(shop.journal.receipts):
        assert time.monotonic() < until, "calls are still answered"
        known = len(shop.journal.receipts)
        time.sleep(0.5)


def test_tables_that_cannot_grow_fail_calls_until_they_can(
    postgres: Postgres, open_shop: Callable[..., Shop]
) -> None:
    shop = open_shop({store: postgres.create(store) for store in STORES})
    with loaded(shop):
        shop.wait_until_served(50)
        processes = processes_of(shop.deployment)
        postgres.limit_files(padded(postgres))
        wait_until_refused(shop)
        refused = len(shop.journal.receipts)
        check_unavailable(shop.call())
        assert shop.read().status == 200
        assert shop.write().status == 201, "the other store's tables are shorter"
        assert len(shop.journal.receipts) == refused
        back_s = time.monotonic()
        postgres.limit_files(None)
        shop.wait_until_served(refused + 50)
        assert processes_of(shop.deployment) == processes, "nobody had to be started again"
    verdict = verdict_on(shop, back_s)
    assert verdict.is_clean, verdict


def test_a_server_that_can_write_nothing_ends_and_has_everything_when_it_is_started(
    postgres: Postgres, open_shop: Callable[..., Shop]
) -> None:
    shop = open_shop({store: postgres.create(store) for store in STORES})
    with loaded(shop):
        shop.wait_until_served(50)
        postgres.limit_files(0)
        postgres.wait_for_end()
        for answer in (shop.call(), shop.read(), shop.write()):
            check_unavailable(answer)
        assert len(shop.probe("/readyz").json()["missing"]) == len(STORES)
        time.sleep(1)  # past the last moment at which what a worker knew would still do
        check_unavailable(shop.call())
        postgres.start()  # by whoever has made room: it does not come back by itself
        back_s = time.monotonic()
        shop.wait_until_served(len(shop.journal.receipts) + 50)
        assert shop.probe("/readyz").status == 200
        assert shop.read().status == 200
        assert shop.write().status == 201
    verdict = verdict_on(shop, back_s)
    assert verdict.is_clean, verdict
