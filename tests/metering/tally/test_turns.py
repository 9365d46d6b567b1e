"""Workers take turns at settling, and none of them hangs on one that died."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from app.metering.tally.turns import Turns, open_turns

FOREVER_S = 3600.0
MOMENT_S = 0.01


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    return tmp_path / "turns"


@pytest.fixture
def open_one(pipe: Path) -> Iterator[Callable[[float], Turns]]:
    """Opens a worker's end; all are closed in the end."""
    opened: list[Turns] = []

    def one(patience_s: float) -> Turns:
        opened.append(Turns(pipe, patience_s))
        return opened[-1]

    yield one
    for turns in opened:
        turns.close()


def play(story: Awaitable[None]) -> None:
    async def run() -> None:
        await asyncio.wait_for(story, 10)

    asyncio.run(run())


async def is_waiting(task: asyncio.Task[None]) -> bool:
    await asyncio.sleep(5 * MOMENT_S)
    return not task.done()


def test_one_settles_at_a_time_and_each_in_the_end(open_one: Callable[[float], Turns]) -> None:
    ends = [open_one(FOREVER_S) for _ in range(3)]
    settling: list[int] = []
    rounds = [0, 0, 0]

    async def work(place: int) -> None:
        for _ in range(20):
            await ends[place].take()
            settling.append(place)
            await asyncio.sleep(0)
            assert settling == [place]
            settling.remove(place)
            rounds[place] += 1
            await ends[place].give()

    async def story() -> None:
        await ends[0].give()  # the first turn that there is
        await asyncio.gather(*(work(place) for place in range(3)))

    play(story())
    assert rounds == [20, 20, 20]


def test_the_turn_of_one_that_died_comes_again(open_one: Callable[[float], Turns]) -> None:
    patient, impatient = open_one(FOREVER_S), open_one(MOMENT_S)

    async def story() -> None:
        # Nobody ever gave one: it goes without, and there is one when it is done.
        await impatient.take()
        waiting = asyncio.create_task(patient.take())
        assert await is_waiting(waiting)
        await impatient.give()
        await waiting

    play(story())


def test_turns_that_are_one_too_many_become_one(open_one: Callable[[float], Turns]) -> None:
    one, other = open_one(FOREVER_S), open_one(FOREVER_S)

    async def story() -> None:
        for _ in range(5):
            await one.give()
        await one.take()
        waiting = asyncio.create_task(other.take())
        assert await is_waiting(waiting)
        await one.give()
        await waiting

    play(story())


def test_one_that_was_waiting_may_be_stopped(open_one: Callable[[float], Turns]) -> None:
    one, other = open_one(FOREVER_S), open_one(FOREVER_S)

    async def story() -> None:
        waiting = asyncio.create_task(other.take())
        assert await is_waiting(waiting)
        waiting.cancel()
        await asyncio.wait([waiting])
        await one.give()
        await one.take()  # the other did not take it with it

    play(story())


def test_where_no_pipe_can_be_made_workers_do_without(tmp_path: Path, pipe: Path) -> None:
    assert open_turns(tmp_path / "missing" / "turns") is None
    found = open_turns(pipe)
    assert found is not None
    found.close()
