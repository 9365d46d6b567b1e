"""A call whose data broke off is taken back once, however long the usage store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.kernel.clock import SystemClock
from app.kernel.refusals import Outage
from app.metering.gateway import voiding
from app.metering.gateway.voiding import Voids
from app.metering.tally.calls import Outcome, Settled, Void

POSTED = Settled(Outcome.POSTED, "evt_one", 1, 0)


class Tally:
    """A tally whose store is away for the first `fails` tries; remembers every try."""

    def __init__(self, fails: int) -> None:
        self.tries: list[Void] = []
        self._fails = fails

    async def void(self, void: Void) -> Settled:
        self.tries.append(void)
        if len(self.tries) <= self._fails:
            raise Outage("The usage store did not answer; try again.")
        return Settled(Outcome.VOIDED, void.void_event_id, 2, void.at_us)


def play(tally: Tally, story: Callable[[Voids], Awaitable[None]]) -> None:
    async def run() -> None:
        await story(Voids(tally, SystemClock()))  # type: ignore[arg-type]  # all of it that is used
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert others == set(), "nothing goes on behind our back"

    asyncio.run(run())


def test_it_is_tried_until_the_store_is_back_as_one_and_the_same_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voiding, "PAUSE_FIRST_S", 0.001)
    monkeypatch.setattr(voiding, "PAUSE_MAX_S", 0.004)
    tally = Tally(fails=20)

    async def story(voids: Voids) -> None:
        await voids.take_back("grt_one", POSTED, None)
        while voids._trying:
            await asyncio.sleep(0.001)
        await voids.close()

    play(tally, story)
    assert len(tally.tries) == 21
    assert len(set(tally.tries)) == 1, "a try that was committed unseen is found by the next"
    assert (tally.tries[0].grant_id, tally.tries[0].event_id) == ("grt_one", "evt_one")


def test_the_buyer_does_not_wait_for_a_store_that_stays_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voiding, "FIRST_MAX_S", 0.001)
    tally = Tally(fails=1)

    async def story(voids: Voids) -> None:
        await voids.take_back("grt_one", POSTED, None)
        assert len(tally.tries) == 1
        await voids.close()

    play(tally, story)
    assert len(tally.tries) == 2, "who stops tries once more, without a pause"


def test_a_stop_while_the_store_is_away_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voiding, "FIRST_MAX_S", 0.001)
    tally = Tally(fails=99)

    async def story(voids: Voids) -> None:
        for number in range(3):
            await voids.take_back("grt_one", POSTED._replace(event_id=f"evt_{number}"), None)
        await voids.close()

    play(tally, story)
    assert len(tally.tries) == 6
