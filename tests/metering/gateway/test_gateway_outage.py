"""Without its stores the gateway serves nothing, says so, and comes back by itself."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.engine import make_engine
from app.db.installation import Installation
from app.metering.gateway import watching
from app.metering.gateway.watching import STALE_AFTER_S
from app.metering.tables import usage_event
from tests.faults.lines import line_to
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


def test_a_look_that_hangs_is_left_alone_and_the_next_has_new_connections(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(installation)
    monkeypatch.setattr(watching, "LOOK_MAX_S", 0.2)
    hangs, released = threading.Event(), threading.Event()
    really_read = watching._read

    def read(*args: Any) -> Any:
        if hangs.is_set():
            hangs.clear()
            with installation.usage.connect():
                released.wait(30)
        return really_read(*args)

    async def story(caller: Caller) -> None:
        pool = installation.usage.pool
        hangs.set()
        await current_on_another(caller, installation.usage, pool)
        assert not released.is_set(), "the one that hangs is still hanging"
        assert (await caller.get(ROWS)).status == 200

    monkeypatch.setattr(watching, "_read", read)
    try:
        play(installation, story)
    finally:
        released.set()


def test_a_worker_looks_however_busy_its_other_threads_are(installation: Installation) -> None:
    give(installation)
    released = threading.Event()

    async def story(caller: Caller) -> None:
        busy = [asyncio.create_task(asyncio.to_thread(released.wait, 30)) for _ in range(64)]
        await asyncio.sleep(0)
        await caller.gateway.watcher.look()
        released.set()
        await asyncio.gather(*busy)

    play(installation, story)


async def current_on_another(caller: Caller, engine: sa.Engine, pool: Any) -> None:
    """Wait until the worker looks by other connections than those of `pool`."""
    async with asyncio.timeout(30):
        while engine.pool is pool or not caller.gateway.watcher.is_current:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
def test_a_worker_on_a_line_that_has_gone_dead_unsaid_looks_on_another(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_MAX_S", 0.3)
    give(installation)
    url = sa.make_url(installation.settings.usage_url)
    with line_to(str(Path(str(url.query["host"])) / ".s.PGSQL.5432")) as line:
        far = url.set(host="127.0.0.1", port=line.port, query={})
        engine = make_engine(far.render_as_string(hide_password=False))

        async def story(caller: Caller) -> None:
            pool = engine.pool
            line.strand()
            await current_on_another(caller, engine, pool)
            assert (await caller.get(ROWS)).status == 200

        play(dataclasses.replace(installation, usage=engine), story)
        engine.dispose()


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
def test_a_line_whose_other_end_is_gone_is_noticed(installation: Installation) -> None:
    url = sa.make_url(installation.settings.usage_url)
    with line_to(str(Path(str(url.query["host"])) / ".s.PGSQL.5432")) as line:
        engine = make_engine(
            url.set(host="127.0.0.1", port=line.port, query={}).render_as_string(
                hide_password=False
            )
        )
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            with socket.socket(fileno=os.dup(raw.pgconn.socket)) as ours:
                waits_ms = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                asks = ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        engine.dispose()
    assert (waits_ms, asks) == (10_000, 1)
