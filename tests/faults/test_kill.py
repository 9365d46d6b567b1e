"""kill -9 at every step of a call: what was answered is in the store once, and billed once."""

from __future__ import annotations

import asyncio
import random
import time

from app.db.installation import Installation
from app.sandbox.upstream import running_upstream
from tests.faults.judging import Note, judge
from tests.faults.lives import Gateways, chosen_death, gateways_on, give_api, until_dead
from tests.faults.loading import CALLERS, Journal, load
from tests.faults.test_exactness import run
from tests.metering.grant_documents import BUYER, quota

API = "/data/world-gdp/api/divisions/500108"
PAUSE_S = 0.01


async def live_and_die(
    gateways: Gateways, journal: Journal, chance: random.Random, kills: int
) -> list[float]:
    """So many lives under load, each ended at a random point; the moments of their ends."""
    process, death = gateways.start(), None
    ending, ends = asyncio.Event(), []
    work = asyncio.create_task(load(gateways.url() + API, BUYER, journal, "key", ending, PAUSE_S))
    for _ in range(kills):
        process.kill()
        death = chosen_death(chance, CALLERS)
        process = gateways.start(death=death)
        await until_dead(process, death, chance, work)
        ends.append(time.monotonic())
    gateways.start()
    ending.set()
    await asyncio.wait_for(work, 60)
    return ends


def test_random_kills_under_load_lose_and_double_nothing(
    installation: Installation, chance: random.Random, note: Note, long: bool
) -> None:
    kills = 200 if long else 20
    journal = Journal()
    with running_upstream() as upstream, gateways_on(installation, upstream.url) as gateways:
        give_api(installation, upstream, windows=[quota("day", None)])
        ends = run(live_and_die(gateways, journal, chance, kills))
        served = set(upstream.counts.served)
    verdict = judge(
        installation,
        journal,
        served,
        times=kills,
        recovered_s=max(map(journal.silence_after, ends)),
    )
    assert verdict.acknowledged > kills, "there was load"
    note("kill -9 of the gateway at a random point of its calls", verdict)
