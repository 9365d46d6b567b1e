"""Voiding: a call whose data broke off on their way to us is taken back, however long that takes.

The buyer waits for none of it beyond a moment: the first try is made while its connection is still
open, the others beside the calls. A try that was committed unseen is found by the next one: an
event is taken back once.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from app.kernel.clock import Clock
from app.kernel.ids import new_id
from app.kernel.refusals import Outage
from app.metering.tally.calls import Outcome, Settled, Void
from app.metering.tally.tally import Tally

FIRST_MAX_S = 1.0
PAUSE_FIRST_S = 0.5
PAUSE_MAX_S = 10.0
BROKEN_OFF = 502

log = structlog.get_logger("gateway")


class Voids:
    """Takes calls back; belongs to one event loop, and ends before the tally does.

    Under an Idempotency-Key several deliveries may be under way at once, and each that breaks off
    is told of: the call is taken back when none of them is left.
    """

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self._tally = tally
        self._clock = clock
        self._trying: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def take_back(self, grant_id: str, settled: Settled, key_sha256: str | None) -> None:
        """Void what a call was settled as, since it was not delivered; returns when it is done, or
        soon, while it goes on being tried.
        """
        void = Void(
            grant_id,
            settled.event_id,
            new_id("evt"),
            self._clock.now_us(),
            BROKEN_OFF,
            key_sha256,
            settled.outcome is Outcome.DUPLICATE,
        )
        task = asyncio.create_task(self._until_done(void))
        self._trying.add(task)
        task.add_done_callback(self._trying.discard)
        await asyncio.wait([task], timeout=FIRST_MAX_S)

    async def close(self) -> None:
        """Try what is left once more, now."""
        self._stopping.set()
        await asyncio.gather(*self._trying)

    async def _until_done(self, void: Void) -> None:
        pause_s = PAUSE_FIRST_S
        while True:
            is_last = self._stopping.is_set()
            try:
                await self._tally.void(void)
            except Outage:
                if is_last:
                    log.error("a call that broke off stays counted", error=void.event_id)
                    return
            else:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
