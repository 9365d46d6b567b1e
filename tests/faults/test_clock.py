"""Clocks that jump, and two nodes that disagree: no day counts twice, nothing runs backwards."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta

from app.db.installation import Installation
from app.kernel.clock import SHANGHAI, SetClock
from app.metering.gateway.gateway import make_gateway
from app.metering.history.closing import close_ranges
from tests.faults.judging import Note, Verdict
from tests.metering.gateway_client import Caller, events, give, verify
from tests.metering.grant_documents import quota
from tests.metering.store import fsck

ROWS = "/data/world-gdp/rows"
# Five minutes before a month ends, where people live.
START = datetime(2026, 11, 30, 23, 55, tzinfo=SHANGHAI)
JUMPS = (
    *(timedelta(0), timedelta(hours=1), timedelta(0), timedelta(hours=-1), timedelta(0)),
    *(timedelta(days=40), timedelta(0), timedelta(minutes=10), timedelta(days=41)),
)
"""Where the clock stands beside `START`, one call after the other."""
APART = timedelta(minutes=5)


def test_a_clock_that_jumps_counts_every_call_once_and_never_backwards(
    installation: Installation, clock: SetClock, note: Note
) -> None:
    windows = [quota("day", 100), quota("month", 100), quota("contract", 100)]
    give(installation, windows=windows)

    async def story() -> set[str]:
        gateway = make_gateway(installation, verify)
        clock.set_to(START)
        await gateway.start()
        receipts = set()
        for jump in JUMPS:
            clock.set_to(START + jump)
            answer = await Caller(gateway).get(ROWS)
            assert answer.status == 200, (jump, answer.body)
            receipts.add(answer.headers["usage-receipt"])
        await gateway.stop()
        return receipts

    told = asyncio.run(story())
    found = events(installation)
    ids = {event.event_id for event in found}
    settled = [event.settled_at_us for event in found]
    assert settled == sorted(settled), "what is settled is never before what was"
    assert fsck(installation) == [], "each window holds its own calls"
    until_us = settled[-1] + 1
    closed = close_ranges(installation, ["grt_one"], until_us)["grt_one"]
    assert closed.units == len(JUMPS)
    note(
        "the clock jumps by an hour, forty days and back, over a month's end",
        Verdict(len(JUMPS), len(told), lost=len(told - ids), twice=len(ids - told)),
    )


def test_two_nodes_that_disagree_about_the_time_share_one_day(
    installation: Installation, clock: SetClock, note: Note
) -> None:
    limit = 10
    give(installation, windows=[quota("day", limit)])
    ahead = SetClock(START + APART)
    nodes = [installation, dataclasses.replace(installation, clock=ahead)]

    async def story() -> list[int]:
        clock.set_to(START - timedelta(minutes=2))
        gateways = [make_gateway(node, verify) for node in nodes]
        for gateway in gateways:
            await gateway.start()
        ahead.set_to(START + timedelta(minutes=3))  # both are in November still
        statuses = []
        for turn in range(2 * limit):
            statuses.append((await Caller(gateways[turn % 2]).get(ROWS)).status)
        # The one that is ahead sees the next day first; then it has come for both.
        ahead.set_to(START + APART)
        for turn in range(3 * limit):
            statuses.append((await Caller(gateways[1 - turn % 2]).get(ROWS)).status)
        for gateway in gateways:
            await gateway.stop()
        return statuses

    statuses = asyncio.run(story())
    assert statuses[: 2 * limit].count(200) == limit
    assert statuses[2 * limit :].count(200) == limit
    assert fsck(installation) == []
    note(
        "two nodes whose clocks are five minutes apart, at midnight",
        Verdict(
            len(statuses),
            statuses.count(200),
            lost=max(0, statuses.count(200) - len(events(installation))),
            over=max(0, len(events(installation)) - 2 * limit),
        ),
    )
