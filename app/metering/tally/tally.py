"""The tally: calls from all handlers of a process, settled in batches.

A call costs one future and one list append; the transaction and its fsync are shared by all calls
that are waiting when it begins. Every answer given was committed first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import make_url

from app.kernel.refusals import Outage
from app.metering.grants import Frame
from app.metering.tally.calls import Batch, Call, KnownKey, Paid, Settled, Standing, Void
from app.metering.tally.turns import Turns, open_turns

MAX_BATCH = 512
# A second batch in flight would only wait for the first one's rows; measured slower.
POSTGRES_WRITERS = 1
# A batch costs 0.2 ms whatever its size: calls that have arrived are let in before it begins.
GATHERING_TURNS = 8

T = TypeVar("T")
log = structlog.get_logger("tally")


class Driver(Protocol):
    """One writer's way to the usage store. Every method raises `Outage` when it is away."""

    async def begin(self) -> None:
        """Get ready to settle: what waits joins the batch that is taken after this."""
        ...

    async def settle(self, batch: Batch) -> list[Settled]:
        """Settle a batch in one transaction; returns after its commit."""
        ...

    async def void(self, void: Void) -> Settled:
        """Take an event back in one transaction; returns after its commit."""
        ...

    async def find_key(self, grant_id: str, key_sha256: str) -> KnownKey | None:
        """What is remembered of an Idempotency-Key."""
        ...

    async def read_paid(self, grant_id: str, number: int) -> Paid | None:
        """What the posted event of this number has paid for."""
        ...

    async def read_standing(self, frame: Frame, at_us: int) -> Standing:
        """The units used in each of the frame's windows, and what is left of unit grants."""
        ...

    async def close(self) -> None:
        """Give back what the driver holds."""
        ...


class Tally:
    """Gathers calls and has its drivers settle them; belongs to one event loop."""

    def __init__(
        self, drivers: Sequence[Driver], turns: Turns | None = None, max_batch: int = MAX_BATCH
    ) -> None:
        """`turns` are taken before each batch, where other processes settle beside this one."""
        self._drivers = drivers
        self._turns = turns
        self._max_batch = max_batch
        self._calls: list[tuple[Call, asyncio.Future[Settled]]] = []
        self._voids: list[tuple[Void, asyncio.Future[Settled]]] = []
        self._loop: asyncio.AbstractEventLoop
        self._work = asyncio.Event()
        self._stopping = False
        self._writers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        self._writers = [asyncio.create_task(self._write(driver)) for driver in self._drivers]

    async def stop(self) -> None:
        """Settle what waits, then close the drivers."""
        self._stopping = True
        self._work.set()
        await asyncio.gather(*self._writers)
        for driver in self._drivers:
            await driver.close()
        if self._turns is not None:
            self._turns.close()

    def submit(self, call: Call) -> asyncio.Future[Settled]:
        """What becomes of `call`; raises `Outage` when that cannot be known, and then nothing may
        be served: the call may or may not have been counted.
        """
        return self._enqueue(self._calls, call)

    def void(self, void: Void) -> asyncio.Future[Settled]:
        """The taking back of an event; repeating it changes nothing."""
        return self._enqueue(self._voids, void)

    async def find_key(self, grant_id: str, key_sha256: str) -> KnownKey | None:
        """What is remembered of an Idempotency-Key; raises `Outage`."""
        return await self._drivers[0].find_key(grant_id, key_sha256)

    async def read_paid(self, grant_id: str, number: int) -> Paid | None:
        """What the posted event of this number has paid for; raises `Outage`."""
        return await self._drivers[0].read_paid(grant_id, number)

    async def read_standing(self, frame: Frame, at_us: int) -> Standing:
        """The units used in each of the frame's windows, and what is left of unit grants at the
        moment; raises `Outage`.
        """
        return await self._drivers[0].read_standing(frame, at_us)

    def _enqueue(
        self, waiting: list[tuple[T, asyncio.Future[Settled]]], item: T
    ) -> asyncio.Future[Settled]:
        future: asyncio.Future[Settled] = self._loop.create_future()
        if self._stopping:
            future.set_exception(Outage("The server is stopping; try again."))
            return future
        waiting.append((item, future))
        self._work.set()
        return future

    async def _write(self, driver: Driver) -> None:
        while True:
            if not (self._calls or self._voids):
                if self._stopping:
                    return
                self._work.clear()
                await self._work.wait()
                continue
            if self._turns is None:
                await self._settle_waiting(driver)
                continue
            await self._turns.take()
            try:
                await self._settle_waiting(driver)
            finally:
                await self._turns.give()

    async def _settle_waiting(self, driver: Driver) -> None:
        """Settle what waits, in one transaction."""
        await self._gather()
        try:
            await driver.begin()
        except Outage as outage:
            self._fail_all(outage)
            return
        if self._voids:  # rare, and not to be starved by calls
            await self._settle_void(driver)
        elif self._calls:
            await self._settle_calls(driver)
        else:  # another writer was faster
            await driver.settle(Batch(()))

    async def _gather(self) -> None:
        """Let calls that are on their way in join, turn by turn while there come more."""
        waiting = 0
        for _ in range(GATHERING_TURNS):
            if not waiting < len(self._calls) < self._max_batch:
                return
            waiting = len(self._calls)
            await asyncio.sleep(0)

    async def _settle_calls(self, driver: Driver) -> None:
        taken = self._calls[: self._max_batch]
        self._calls = self._calls[self._max_batch :]
        batch = Batch(tuple(call for call, _ in taken))
        futures = [future for _, future in taken]
        await _answer(futures, lambda: driver.settle(batch))

    async def _settle_void(self, driver: Driver) -> None:
        void, future = self._voids.pop(0)

        async def settle() -> list[Settled]:
            return [await driver.void(void)]

        await _answer([future], settle)

    def _fail_all(self, outage: Outage) -> None:
        futures = [future for _, future in self._calls] + [future for _, future in self._voids]
        self._calls, self._voids = [], []
        _fail(futures, outage)


async def _answer(
    futures: Sequence[asyncio.Future[Settled]], settle: Callable[[], Awaitable[list[Settled]]]
) -> None:
    try:
        answers = await settle()
    except Outage as outage:
        _fail(futures, outage)
    except Exception as error:  # noqa: BLE001 - the writer outlives a bug; its calls are refused
        log.error("batch failed", error=f"{type(error).__name__}: {error}"[:500])
        _fail(futures, Outage("The usage store refused the batch; it has been logged."))
    else:
        for future, answer in zip(futures, answers, strict=True):
            if not future.done():  # the buyer may have hung up; the call was counted all the same
                future.set_result(answer)


def _fail(futures: Sequence[asyncio.Future[Settled]], outage: Outage) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(Outage(outage.detail, retry_after_s=outage.retry_after_s))


def open_tally(usage_url: str, turns_at: Path | None = None) -> Tally:
    """A tally on the usage store at `usage_url`, not started yet; it shares its turns with those of
    the other workers of the host at `turns_at`.
    """
    postgres = make_url(usage_url).get_backend_name() != "sqlite"
    drivers = [open_driver(usage_url) for _ in range(POSTGRES_WRITERS if postgres else 1)]
    return Tally(drivers, None if turns_at is None else open_turns(turns_at))


def open_driver(usage_url: str) -> Driver:
    """A driver for the usage store at `usage_url`; connects to nothing yet."""
    url = make_url(usage_url)
    if url.get_backend_name() == "sqlite":
        from app.metering.tally.sqlite_driver import SqliteDriver

        assert url.database is not None
        return SqliteDriver(url.database)
    from app.metering.tally.postgres_driver import PostgresDriver

    return PostgresDriver(url.set(drivername="postgresql").render_as_string(hide_password=False))
