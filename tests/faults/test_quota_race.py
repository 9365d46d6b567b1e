"""Callers race for a quota through several gateways: exactly the limit is admitted, ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import product

import aiohttp
import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.metering.tables import usage_event, usage_window
from tests.faults.judging import Note, Verdict
from tests.faults.lives import Gateways, gateways_on
from tests.faults.test_exactness import run
from tests.metering.gateway_client import table
from tests.metering.grant_documents import BUYER, grant_document, quota
from tests.metering.store import fsck

WORKERS = 4
CASES = tuple(product((1, 10, 100, 1000), (1, 100), (1, WORKERS)))
"""Callers at once, the limit, and the gateways that they are spread over."""
FEW = ((10, 1, 1), (100, 1, WORKERS), (1000, 100, WORKERS))
EXHAUSTED = "urn:zhigu:problem:quota-exhausted"
Answer = tuple[int, str]


def name_of(callers: int, limit: int, workers: int) -> str:
    return f"race-{callers}-{limit}-{workers}"


Case = tuple[int, int, int]


def give_all(installation: Installation, cases: Sequence[Case]) -> None:
    """A grant for each case."""
    file = table(installation)
    with installation.usage_transaction() as connection:
        for case in cases:
            name = name_of(*case)
            windows = [quota("contract", case[1])]
            document = grant_document(f"grt_{name}", slug=name, windows=windows, file=file)
            assert apply_grant(connection, document, at_us=1)


async def answer_of(session: aiohttp.ClientSession, url: str) -> Answer:
    """The status, and the receipt or the type of the problem."""
    async with session.get(url) as answer:
        body = await answer.json(content_type=None)
        told = answer.headers["Usage-Receipt"] if answer.status == 200 else body["type"]
        return answer.status, told


async def race(gateways: Gateways, cases: Sequence[Case]) -> dict[Case, list[Answer]]:
    """All cases, one after the other; what each caller was answered."""
    connector = aiohttp.TCPConnector(limit=200)
    headers = {"Authorization": f"Bearer {BUYER}"}
    found = {}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(until_up(session, gateways.url(at)) for at in range(WORKERS)))
        for case in cases:
            callers, _, workers = case
            urls = [
                f"{gateways.url(turn % workers)}/data/{name_of(*case)}/rows?limit=1"
                for turn in range(callers)
            ]
            found[case] = await asyncio.gather(*(answer_of(session, url) for url in urls))
    return found


async def until_up(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until a gateway answers at all."""
    for _ in range(3000):
        try:
            async with session.get(f"{url}/data/nothing/other"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)
    raise AssertionError("the gateway did not start")


def counted(installation: Installation, name: str) -> tuple[set[str], set[int]]:
    """The ids of a grant's events, and its counters."""
    with installation.usage.connect() as connection:
        mine = usage_event.c.grant_id == f"grt_{name}"
        ids = connection.scalars(sa.select(usage_event.c.event_id).where(mine)).all()
        used = connection.scalars(
            sa.select(usage_window.c.used_units).where(usage_window.c.grant_id == f"grt_{name}")
        ).all()
    return set(ids), set(used)


def test_a_race_for_a_quota_admits_exactly_its_limit(
    installation: Installation, note: Note, long: bool
) -> None:
    cases = CASES if long else FEW
    give_all(installation, cases)
    with gateways_on(installation) as gateways:
        for place in range(WORKERS):
            gateways.start(place)
        found = run(race(gateways, cases))
    for case, answers in found.items():
        callers, limit, _ = case
        admitted = min(callers, limit)
        wanted = {200: admitted, 429: callers - admitted}
        assert Counter(status for status, _ in answers) == Counter(wanted), case
        assert {told for status, told in answers if status == 429} <= {EXHAUSTED}
        told = {receipt for status, receipt in answers if status == 200}
        ids, used = counted(installation, name_of(*case))
        assert used == {admitted}
        verdict = Verdict(
            times=1,
            acknowledged=len(told),
            lost=len(told - ids),
            twice=len(ids - told),
            over=max(0, len(ids) - limit),
        )
        note("1 to 1,000 callers race for a quota of 1 or 100, through 1 or 4 gateways", verdict)
    assert fsck(installation) == []
