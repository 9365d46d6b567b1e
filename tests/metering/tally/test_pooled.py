"""The usage store behind a PgBouncer that lends a server connection for one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
import sqlalchemy as sa

from app.db.installation import Installation, open_installation
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.kernel.refusals import Outage
from app.metering.gateway.watching import _read
from app.metering.grants import frame_at
from app.metering.history.closing import close_ranges
from app.metering.history.partitions import make_months_ahead
from app.metering.history.recounting import recount
from app.metering.history.segments import seal_due
from app.metering.history.totals import total_due
from app.metering.tables import usage_event
from app.metering.tally.calls import Batch, Call, Outcome, Paid, Settled, Void
from app.metering.tally.postgres_driver import SETTINGS, PostgresDriver
from tests.metering.calling import NOON_US, call_on
from tests.metering.store import fsck, give
from tests.pgbouncer import pgbouncer

KEY = "c" * 64


@pytest.fixture
def engine_name() -> str:
    return "postgres"


@pytest.fixture
def pooled(installation: Installation, clock: SetClock) -> Iterator[Installation]:
    """The installation with its usage store behind PgBouncer; one grant is in force."""
    with pgbouncer(installation.settings.usage_url) as url:
        settings = msgspec.structs.replace(installation.settings, usage_url=url)
        found = open_installation(settings, clock, installation.keys)
        give(found)
        with ExitStack() as stack:  # at once, so that each has a server connection of its own
            for _ in range(4):
                connection = stack.enter_context(found.usage_transaction())
                connection.exec_driver_sql("SELECT 1")
        yield found
        found.usage.dispose()
        found.market.dispose()


def calls(count: int) -> Batch:
    return Batch(tuple(call_on() for _ in range(count)))


def keyed() -> Call:
    return call_on(key_sha256=KEY, replay_until_us=NOON_US + 60_000_000)


def numbers(installation: Installation) -> list[int]:
    with installation.usage.connect() as connection:
        return list(
            connection.execute(sa.select(usage_event.c.number).order_by("number")).scalars()
        )


def end_servers(installation: Installation) -> None:
    """End every server connection to this database but our own."""
    with suppress(Outage), installation.usage_transaction() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_no_two_transactions_in_a_row_have_the_same_server(pooled: Installation) -> None:
    servers = []
    for _ in range(4):
        with pooled.usage_transaction() as connection:
            servers.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    assert all(one != other for one, other in pairwise(servers))


def test_two_writers_settle_exactly_through_the_pool(pooled: Installation) -> None:
    async def write(driver: PostgresDriver) -> list[Settled]:
        return [answer for _ in range(6) for answer in await driver.settle(calls(7))]

    async def run() -> list[Settled]:
        drivers = [PostgresDriver(pooled.settings.usage_url) for _ in range(2)]
        answers = await asyncio.gather(*map(write, drivers))
        first, again = keyed(), keyed()
        answers.append(await drivers[0].settle(Batch((first, again))))
        known = await drivers[1].find_key("grt_one", KEY)
        assert known is not None and known.event_id == first.event_id
        void = Void("grt_one", first.event_id, new_id("evt"), NOON_US, 502, KEY)
        assert (await drivers[1].void(void)).outcome is Outcome.KEPT, "it was replayed"
        repeat = replace(void, void_event_id=new_id("evt"), replayed=True)
        assert (await drivers[1].void(repeat)).outcome is Outcome.VOIDED
        assert await drivers[1].find_key("grt_one", KEY) is None
        assert await drivers[1].read_paid("grt_one", known.number) == Paid("call", 1)
        standing = await drivers[1].read_standing(first.frame, NOON_US)
        assert standing.used_units == (84,)
        for driver in drivers:
            await driver.close()
        return [answer for some in answers for answer in some]

    outcomes = [answer.outcome for answer in asyncio.run(run())]
    assert outcomes == [*[Outcome.POSTED] * 85, Outcome.DUPLICATE]
    assert numbers(pooled) == list(range(1, 87))
    assert fsck(pooled) == []


def test_the_tallys_settings_hold_in_its_transactions_and_nowhere_else(
    pooled: Installation,
) -> None:
    async def run() -> dict[str, str]:
        driver = PostgresDriver(pooled.settings.usage_url)
        found = await driver._read(
            lambda reader: reader.fetch("SELECT name, setting FROM pg_settings")
        )
        await driver.close()
        return {row[0]: row[1] for row in found}

    def elsewhere() -> dict[str, str]:
        with pooled.usage_transaction() as connection:
            rows = connection.exec_driver_sql("SELECT name, setting FROM pg_settings")
            return {row[0]: row[1] for row in rows if row[0] in {*SETTINGS, "TimeZone"}}

    before = elsewhere()
    within = asyncio.run(run())
    assert {name: within[name] for name in SETTINGS} == SETTINGS
    assert within["TimeZone"] == "UTC"
    assert all(before == elsewhere() for _ in range(6)), "on whichever server"
    assert (before["lock_timeout"], before["TimeZone"]) == ("10000", "UTC")


def test_a_server_that_ends_while_it_settles_loses_and_doubles_nothing(
    pooled: Installation, installation: Installation
) -> None:
    async def run() -> list[int]:
        driver = PostgresDriver(pooled.settings.usage_url)
        await driver.settle(calls(1))
        with installation.usage.begin() as connection:
            connection.exec_driver_sql("SELECT * FROM grant_state FOR UPDATE")
            settling = asyncio.create_task(driver.settle(calls(2)))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(
                connection.exec_driver_sql,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
        found = [answer.number for answer in await settling]
        await driver.close()
        return found

    assert asyncio.run(run()) == [2, 3]
    assert numbers(pooled) == [1, 2, 3]


def test_jobs_and_questions_run_through_the_pool(pooled: Installation) -> None:
    async def run() -> None:
        driver = PostgresDriver(pooled.settings.usage_url)
        await driver.settle(calls(5))
        await driver.close()

    make_months_ahead(pooled)
    asyncio.run(run())
    seal_due(pooled)
    total_due(pooled)
    closed = close_ranges(pooled, ["grt_one"], frame_at(give(pooled, epoch=2), NOON_US).ends_at_us)
    assert closed["grt_one"].units == 5
    assert list(recount(pooled)) == []
    assert fsck(pooled) == []


def test_a_worker_learns_of_changes_through_the_pool_and_after_it_broke(
    pooled: Installation,
) -> None:
    news = _read(pooled, None)
    assert news.everything and [grant.grant_id for grant in news.grants] == ["grt_one"]
    give(pooled, "grt_two")
    give(pooled, epoch=2, live=False)
    later = _read(pooled, news.last_number)
    assert [(one.grant_id, one.live) for one in later.grants] == [
        ("grt_two", True),
        ("grt_one", False),
    ]
    end_servers(pooled)
    for _ in range(10):  # each look that fails leaves the worker where it was
        with suppress(Exception):
            give(pooled, "grt_three")
            break
    for _ in range(10):
        with suppress(Exception):
            last = _read(pooled, later.last_number)
            break
    assert [one.grant_id for one in last.grants] == ["grt_three"]
    assert not last.everything
