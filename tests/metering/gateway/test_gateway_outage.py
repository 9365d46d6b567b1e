"""Without its stores the gateway serves nothing, says so, and comes back by itself."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.gateway.watching import STALE_AFTER_S
from app.metering.tables import usage_event
from tests.metering.gateway_client import Caller, give, play

ROWS = "/data/world-gdp/rows"


def test_a_worker_that_has_not_looked_for_a_second_serves_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS)).status == 200
        monkeypatch.setattr("app.metering.gateway.watching.STALE_AFTER_S", -1.0)
        answer = await caller.get(ROWS)
        assert (answer.status, answer.slug) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        monkeypatch.undo()
        assert (await caller.get(ROWS)).status == 200

    play(installation, story)


def test_a_worker_that_was_too_busy_to_look_looks_before_it_answers(
    installation: Installation,
) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS)).status == 200
        await asyncio.to_thread(give, installation, epoch=2, live=False, reason="suspended")
        time.sleep(STALE_AFTER_S + 0.1)  # the whole loop stands still
        answers = await asyncio.gather(*(caller.get(ROWS) for _ in range(20)))
        assert {answer.slug for answer in answers} == {"grant-suspended"}

    play(installation, story)


def test_a_store_that_breaks_under_a_call_is_503_and_nothing_is_served(
    installation: Installation,
) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        await asyncio.to_thread(execute, installation, "ALTER TABLE usage_event RENAME TO away")
        answer = await caller.get(ROWS)
        assert (answer.status, answer.slug) == (503, "unavailable")
        assert "retry-after" in answer.headers
        await asyncio.to_thread(execute, installation, "ALTER TABLE away RENAME TO usage_event")
        assert (await caller.get(ROWS)).status == 200

    play(installation, story)
    with installation.usage.connect() as connection:
        assert len(connection.execute(sa.select(usage_event)).all()) == 1


def test_it_comes_up_while_the_store_is_away(installation: Installation) -> None:
    away = dataclasses.replace(installation, usage=sa.create_engine("sqlite:////nowhere/usage.db"))

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS)).status == 503

    play(away, story)


def execute(installation: Installation, statement: str) -> None:
    with installation.usage_transaction() as connection:
        connection.exec_driver_sql(statement)
