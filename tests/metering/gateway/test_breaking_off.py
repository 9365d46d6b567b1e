"""Deliveries under one key that break off, together or alone: what came whole once is paid once."""

from __future__ import annotations

import asyncio

import pytest

from app.db.installation import Installation
from app.metering.gateway.proxying import HELD_MAX_BYTES
from tests.metering.asking import API, Asking
from tests.metering.gateway_client import Caller
from tests.metering.grant_documents import quota
from tests.metering.store import fsck

LARGE = 2 * HELD_MAX_BYTES
BEGUN = HELD_MAX_BYTES + 65_536
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE
WHOLE, BROKEN = LARGE, LARGE - 1


class Deliveries:
    """Repeats of one call that are all under way before any of them ends."""

    def __init__(self, installation: Installation, lengths: tuple[int, ...]) -> None:
        self._lengths = lengths
        self._gates = [asyncio.Event() for _ in lengths]
        self.asked = Asking(
            installation,
            self._answer,
            upstream={"body_max_bytes": LARGE},
            windows=[quota("contract", 10)],
        )

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.asked.server.heads) - 1
        writer.write(HEAD + b"x" * BEGUN)
        await writer.drain()
        while not self._gates[number].is_set():  # it is set in another event loop
            await asyncio.sleep(0.001)
        writer.write(b"x" * (self._lengths[number] - BEGUN))
        await writer.drain()

    async def play(self, caller: Caller, order: tuple[int, ...]) -> None:
        calls = []
        for _ in order:
            begun = asyncio.Event()
            calls.append(asyncio.create_task(self._call(caller, begun)))
            await begun.wait()
        for number in order:
            self._gates[number].set()
            assert await calls[number] is (self._lengths[number] == WHOLE)

    async def _call(self, caller: Caller, begun: asyncio.Event) -> bool:
        """Whether the answer came whole."""
        headers = {"idempotency-key": "one"}
        sent = await caller.sent("GET", f"{API}/x", headers=headers, before_body=begun.set)
        assert sent[0]["status"] == 200
        return not sent[-1]["more_body"]


@pytest.mark.parametrize(
    ("lengths", "order", "events"),
    [
        ((BROKEN, WHOLE), (0, 1), ["posted"]),
        ((BROKEN, WHOLE), (1, 0), ["posted"]),
        ((WHOLE, BROKEN), (1, 0), ["posted"]),
        ((BROKEN, WHOLE, BROKEN), (0, 2, 1), ["posted"]),
        ((BROKEN, BROKEN), (0, 1), ["posted", "void"]),
        ((BROKEN, BROKEN, BROKEN), (2, 0, 1), ["posted", "void"]),
    ],
)
def test_a_call_is_free_only_if_every_delivery_under_its_key_broke_off(
    installation: Installation,
    lengths: tuple[int, ...],
    order: tuple[int, ...],
    events: list[str],
) -> None:
    deliveries = Deliveries(installation, lengths)

    async def story(caller: Caller) -> None:
        await deliveries.play(caller, order)

    deliveries.asked.play(story)
    found = deliveries.asked.events()
    assert [event.kind for event in found] == events
    assert fsck(installation) == []


def test_repeats_that_broke_off_are_none_of_those_that_a_key_has(
    installation: Installation,
) -> None:
    lengths = (WHOLE, *[BROKEN] * 4, *[WHOLE] * 3)
    deliveries = Deliveries(installation, lengths)
    for gate in deliveries._gates:
        gate.set()
    whole: list[bool] = []

    async def story(caller: Caller) -> None:
        for _ in lengths:
            whole.append(await deliveries._call(caller, asyncio.Event()))
        spent = await caller.get(f"{API}/x", idempotency_key="one")
        assert spent.slug == "idempotency-key-spent"

    deliveries.asked.play(story)
    assert whole == [length == WHOLE for length in lengths]
    assert [event.kind for event in deliveries.asked.events()] == ["posted"]
