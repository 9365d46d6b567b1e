"""Bad weather between us and the store, and between us and an upstream: every call ends in time,
none is billed twice, and when it clears everything works as before.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import make_url

from app.db.installation import Installation
from app.sandbox.upstream import RunningUpstream, running_upstream
from tests.faults.judging import Note, judge
from tests.faults.lines import Line, Weather, line_to
from tests.faults.lives import gateways_on, give_api
from tests.faults.loading import CALLERS, Journal, load
from tests.faults.test_exactness import run
from tests.metering.grant_documents import BUYER, quota

API = "/data/world-gdp/api/divisions/500108"
BAD = tuple(weather for weather in Weather if weather is not Weather.FAIR)
BACK_WITHIN_S = 60.0
STORE_CONNECTIONS = 8


@pytest.fixture
def upstream() -> Iterator[RunningUpstream]:
    with running_upstream() as opened:
        yield opened


@pytest.fixture
def lasts_s(long: bool) -> float:
    return 4.0 if long else 0.6


async def through_all_weathers(
    url: str, line: Line, journal: Journal, lasts_s: float
) -> list[float]:
    """Load through every bad weather of the line, each followed by a fair one; when they ended."""
    ending, ends = asyncio.Event(), []
    work = asyncio.create_task(load(url + API, BUYER, journal, "key", ending, 0.01))
    await until_served(journal, work)
    for weather in BAD:
        await asyncio.to_thread(line.turns, weather)
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(line.turns, Weather.FAIR)
        ends.append(time.monotonic())
        await until_served(journal, work)
    ending.set()
    await asyncio.wait_for(work, 60)
    return ends


async def until_served(journal: Journal, work: asyncio.Task[None]) -> None:
    """Wait until as many calls more are answered as there are callers."""
    wanted, until = len(journal.receipts) + CALLERS, time.monotonic() + BACK_WITHIN_S
    while len(journal.receipts) < wanted:
        if work.done():
            work.result()
        assert time.monotonic() < until, journal.statuses
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_bad_weather_on_the_way_to_an_upstream(
    installation: Installation, upstream: RunningUpstream, note: Note, lasts_s: float
) -> None:
    journal = Journal()
    port = int(upstream.url.rpartition(":")[2])
    with line_to(port) as line, gateways_on(installation, f"x:{line.port}") as gateways:
        moved = dataclasses.replace(
            upstream, server=dataclasses.replace(upstream.server, port=line.port)
        )
        give_api(installation, moved, windows=[quota("day", None)])
        gateways.start()
        ends = run(through_all_weathers(gateways.url(), line, journal, lasts_s))
        assert line.connections <= CALLERS, "no connection is left behind"
    recovered_s = max(map(journal.silence_after, ends))
    verdict = judge(
        installation, journal, upstream.counts.served, times=len(BAD), recovered_s=recovered_s
    )
    assert journal.overdue == 0, "every call ends in time"
    note("six kinds of bad weather between us and an upstream", verdict)


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
def test_bad_weather_on_the_way_to_the_store(
    installation: Installation, upstream: RunningUpstream, note: Note, lasts_s: float
) -> None:
    journal = Journal()
    url = make_url(installation.settings.usage_url)
    socket_path = str(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    with line_to(socket_path) as line:
        far = url.set(host="127.0.0.1", port=line.port, query={})
        settings = msgspec.structs.replace(
            installation.settings, usage_url=far.render_as_string(hide_password=False)
        )
        give_api(installation, upstream, windows=[quota("day", None)])
        with gateways_on(
            dataclasses.replace(installation, settings=settings), upstream.url
        ) as gateways:
            gateways.start()
            ends = run(through_all_weathers(gateways.url(), line, journal, lasts_s))
            assert line.connections <= STORE_CONNECTIONS, "no connection is left behind"
    recovered_s = max(map(journal.silence_after, ends))
    verdict = judge(
        installation, journal, upstream.counts.served, times=len(BAD), recovered_s=recovered_s
    )
    assert journal.overdue == 0, "every call ends in time"
    note("six kinds of bad weather between us and PostgreSQL, lost answers to COMMIT too", verdict)
