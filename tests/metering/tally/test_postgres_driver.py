"""When the connection breaks, the PostgreSQL driver finds out what was committed."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from app.db.installation import Installation
from app.kernel.refusals import Outage
from app.metering.granting import apply_grant
from app.metering.tables import usage_event
from app.metering.tally import postgres_driver as tally_postgres
from app.metering.tally.calls import Batch, Outcome
from app.metering.tally.postgres_driver import PostgresDriver
from tests.metering.calling import call_on
from tests.metering.grant_documents import grant_document


@pytest.fixture
def engine_name() -> str:
    return "postgres"


@pytest.fixture
def granted(installation: Installation) -> Installation:
    with installation.usage_transaction() as connection:
        apply_grant(connection, grant_document(), at_us=1)
    return installation


class Unlucky:
    """A connection that breaks before or after its work is committed."""

    def __init__(self, real: asyncpg.Connection, *, committed: bool) -> None:
        self._real = real
        self._committed = committed

    def is_closed(self) -> bool:
        return bool(self._real.is_closed())

    def terminate(self) -> None:
        self._real.terminate()

    async def fetchrow(self, *arguments: Any) -> Any:
        if self._committed:
            await self._real.fetchrow(*arguments)
        self._real.terminate()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed")


async def driver_with_broken_connection(
    installation: Installation, *, committed: bool
) -> PostgresDriver:
    driver = PostgresDriver(installation.settings.usage_url)
    await driver.begin()
    assert driver._connection is not None
    driver._connection = Unlucky(driver._connection, committed=committed)
    return driver


def numbers(installation: Installation) -> list[int]:
    with installation.usage.connect() as connection:
        found = connection.execute(sa.select(usage_event.c.number).order_by(usage_event.c.number))
        return list(found.scalars())


@pytest.mark.parametrize("committed", [False, True])
def test_a_lost_answer_is_looked_up_and_the_calls_are_counted_once(
    granted: Installation, committed: bool
) -> None:
    async def run() -> None:
        driver = await driver_with_broken_connection(granted, committed=committed)
        answers = await driver.settle(Batch((call_on(), call_on())))
        assert [(answer.outcome, answer.number) for answer in answers] == [
            (Outcome.POSTED, 1),
            (Outcome.POSTED, 2),
        ]
        await driver.close()

    asyncio.run(run())
    assert numbers(granted) == [1, 2]


def test_a_fate_that_stays_unknown_is_an_outage(
    granted: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally_postgres, "RECOVERY_BOUND_S", 0.3)

    async def run() -> None:
        driver = await driver_with_broken_connection(granted, committed=True)
        driver._dsn = "postgresql://127.0.0.1:9/none"
        with pytest.raises(Outage):
            await driver.settle(Batch((call_on(),)))
        await driver.close()

    asyncio.run(run())
    assert numbers(granted) == [1]


def test_a_backend_that_is_terminated_at_work_does_not_lose_the_batch(
    granted: Installation,
) -> None:
    async def run() -> None:
        driver = PostgresDriver(granted.settings.usage_url)
        await driver.begin()
        with granted.usage.begin() as connection:
            connection.exec_driver_sql("SELECT * FROM grant_state FOR UPDATE")
            settling = asyncio.create_task(driver.settle(Batch((call_on(),))))
            await asyncio.sleep(0.2)
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'zhigu-tally' AND datname = current_database()"
            )
            await asyncio.sleep(0.1)
        assert [answer.number for answer in await settling] == [1]
        await driver.close()

    asyncio.run(run())
    assert numbers(granted) == [1]


def end_backends(installation: Installation) -> None:
    """End every connection of a tally, and wait until the server has told them so."""
    with installation.usage.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'zhigu-tally' AND datname = current_database()"
        )


@pytest.mark.parametrize("turns", range(4))
def test_a_connection_that_was_ended_while_idle_is_replaced(
    granted: Installation, turns: int
) -> None:
    async def run() -> None:
        driver = PostgresDriver(granted.settings.usage_url)
        await driver.begin()
        assert await driver.find_key("grt_one", "0" * 64) is None
        end_backends(granted)
        # The loop may have read the farewell and not yet that the connection is closed.
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await driver.find_key("grt_one", "0" * 64) is None
        assert [answer.number for answer in await driver.settle(Batch((call_on(),)))] == [1]
        end_backends(granted)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert [answer.number for answer in await driver.settle(Batch((call_on(),)))] == [2]
        await driver.close()

    asyncio.run(run())
    assert numbers(granted) == [1, 2]


def test_commits_are_durable_even_where_the_server_would_not_wait(granted: Installation) -> None:
    with granted.usage.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        database = make_url(granted.settings.usage_url).database
        connection.exec_driver_sql(f'ALTER DATABASE "{database}" SET synchronous_commit = off')

    async def run() -> None:
        driver = PostgresDriver(granted.settings.usage_url)
        await driver.begin()
        assert driver._connection is not None
        assert await driver._connection.fetchval("SHOW synchronous_commit") == "on"
        await driver.close()

    asyncio.run(run())
