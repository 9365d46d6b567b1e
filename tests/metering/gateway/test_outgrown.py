"""A repeat gives what its key has paid for, and no more, whatever a live API answers by then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.db.installation import Installation
from app.kernel.refusals import Outage
from tests.metering.asking import API, Asking
from tests.metering.gateway_client import Answer, Caller, check_problem
from tests.metering.grant_documents import quota
from tests.metering.upstream.raw_server import answer


class Growing:
    """An API whose answers are, one after the other, the ones told; `give` changes the terms."""

    def __init__(self, installation: Installation, *answers: bytes, **terms: Any) -> None:
        self._answers = list(answers)
        self.asked = Asking(installation, self._answer, **terms)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._answers.pop(0))
        await writer.drain()

    def repeated(self, *, amended: dict[str, Any] | None = None) -> list[Answer]:
        """What each repeat under one key got; `amended` are the terms after the first."""
        got: list[Answer] = []

        async def story(caller: Caller) -> None:
            for _ in range(len(self._answers)):
                got.append(await caller.get(f"{API}/x", idempotency_key="one"))
                if amended is not None and len(got) == 1:
                    await asyncio.to_thread(self.asked.give, epoch=2, **amended)
                    await caller.gateway.watcher.look()

        self.asked.play(story)
        return got


def outgrown(got: Answer, paid_units: int, units: int) -> None:
    check_problem(got, 422, "idempotency-key-outgrown")
    assert (got.json["paid_units"], got.json["units"]) == (paid_units, units)


def test_a_repeat_that_has_grown_is_refused_and_none_of_the_three(
    installation: Installation,
) -> None:
    sizes = [4, 5, 3, 9, 4, 0, 5]
    growing = Growing(
        installation,
        *[answer(b"x" * size) for size in sizes],
        meter="byte",
        windows=[quota("contract", 100)],
    )
    first, *repeats = growing.repeated()
    assert first.status == 200
    for got, size in zip(repeats, sizes[1:], strict=True):
        if size > 4:
            if got is not repeats[-1]:
                outgrown(got, 4, size)
            continue
        assert (got.status, len(got.body)) == (200, size)
        assert got.headers["usage-receipt"] == first.headers["usage-receipt"]
    # Three repeats were delivered before the last one.
    assert repeats[-1].slug == "idempotency-key-spent"
    assert [(event.kind, event.units) for event in growing.asked.events()] == [("posted", 4)]


def test_what_was_not_billed_pays_for_no_answer_that_is(installation: Installation) -> None:
    growing = Growing(
        installation,
        *[answer(b"wait", "202 Accepted"), answer(b"wait", "202 Accepted"), answer(b"data")],
        billable_statuses=[200],
    )
    first, again, ready = growing.repeated()
    assert (first.status, again.status) == (202, 202)
    outgrown(ready, 0, 1)
    assert [event.units for event in growing.asked.events()] == [0]


def test_what_another_meter_counts_was_not_paid_for(installation: Installation) -> None:
    growing = Growing(installation, answer(b"data"), answer(b"d"), windows=[])
    first, again = growing.repeated(amended={"meter": "byte"})
    assert first.status == 200
    outgrown(again, 1, 1)
    assert again.json["paid_meter"] == "call"


def test_a_repeat_that_was_not_known_for_one_is_held_to_what_was_paid_too(
    installation: Installation,
) -> None:
    answers = {"first": answer(b"x" * 4), "second": answer(b"x" * 5)}
    both_asked, is_paid = asyncio.Event(), asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_second = len(asked.server.heads) == 2
        while not (is_paid if is_second else both_asked).is_set():  # set in another event loop
            await asyncio.sleep(0.001)
        writer.write(answers["second" if is_second else "first"])
        await writer.drain()

    asked = Asking(installation, behave, meter="byte", windows=[])
    got: list[Answer] = []

    async def story(caller: Caller) -> None:
        first, second = (
            asyncio.create_task(caller.get(f"{API}/x", idempotency_key="one")) for _ in range(2)
        )
        while len(asked.server.heads) < 2:
            await asyncio.sleep(0.001)
        both_asked.set()
        got.append(await first)
        is_paid.set()
        got.append(await second)

    asked.play(story)
    assert (got[0].status, got[0].body) == (200, b"x" * 4)
    outgrown(got[1], 4, 5)


def test_while_what_was_paid_cannot_be_known_nothing_is_given_and_no_repeat_is_lost(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asking(installation, answer(b"data"))

    async def away(grant_id: str, number: int) -> None:
        raise Outage("The usage store did not answer; try again.")

    async def story(caller: Caller) -> None:
        async def call() -> Answer:
            return await caller.get(f"{API}/x", idempotency_key="one")

        assert (await call()).status == 200
        with monkeypatch.context() as patch:
            patch.setattr(caller.gateway._tally, "read_paid", away)
            for _ in range(4):
                check_problem(await call(), 503, "unavailable")
        for _ in range(3):
            assert (await call()).status == 200
        assert (await call()).slug == "idempotency-key-spent"

    asked.play(story)
    assert [event.kind for event in asked.events()] == ["posted"]
