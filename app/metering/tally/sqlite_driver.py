"""The tally's SQLite driver: one transaction per batch, committed in the event loop.

A commit is a tenth of a millisecond on a good disk, less than two hand-overs between threads cost
under the GIL; where the disk is slow (`CommitPace`) batches move to a thread of their own.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import quote

from app.kernel.refusals import Outage
from app.metering.grants import Frame
from app.metering.tally.calls import Batch, KnownKey, Paid, Settled, Standing, Void
from app.metering.tally.settling import settle
from app.metering.tally.sqlite_book import (
    load_book,
    load_key,
    load_paid,
    load_standing,
    void_event,
    write_book,
)

BUSY_BOUND_S = 5.0
SLOW_COMMIT_S = 0.002
SHORT_WAITS = 20
SHORT_WAIT_S = 0.00005

T = TypeVar("T")


class CommitPace:
    """How long commits take: the moving 95th percentile over the last hundred."""

    def __init__(self, bound_s: float = SLOW_COMMIT_S, size: int = 100) -> None:
        self._bound_s = bound_s
        self._recent: deque[float] = deque(maxlen=size)
        self._count = 0
        self.slow = False

    def took(self, seconds: float) -> None:
        """Note one commit; every twentieth looks at the percentile afresh."""
        self._recent.append(seconds)
        self._count += 1
        if self._count % 20 == 0:
            ranked = sorted(self._recent)
            self.slow = ranked[len(ranked) * 95 // 100] > self._bound_s


class SqliteDriver:
    """One connection for one writer."""

    def __init__(self, path: str, pace: CommitPace | None = None) -> None:
        self._path = path
        self._pace = pace or CommitPace()
        self._connection: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def begin(self) -> None:
        """Take the write lock; lets others run while another process holds it.

        Raises `Outage` when the lock cannot be had in `BUSY_BOUND_S`.
        """
        started = time.monotonic()
        tries = 0
        while not self._try_begin():
            if time.monotonic() - started > BUSY_BOUND_S:
                raise Outage("The usage store is busy; try again.")
            tries += 1
            if tries <= SHORT_WAITS:
                # A timer of the loop is too coarse for a lock that is held for 0.2 ms.
                time.sleep(SHORT_WAIT_S)
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(random.uniform(0.0005, 0.002))  # noqa: S311 - spreads retries, no secret

    async def settle(self, batch: Batch) -> list[Settled]:
        """Settle `batch` in the transaction that `begin` opened, and commit it."""
        return await self._run(lambda: self._settle(batch))

    async def void(self, void: Void) -> Settled:
        """Take an event back, in the transaction that `begin` opened, and commit it."""
        return await self._run(lambda: self._void(void))

    async def find_key(self, grant_id: str, key_sha256: str) -> KnownKey | None:
        """What is remembered of an Idempotency-Key, read outside any batch."""
        with _outages():
            return load_key(self._open_reader(), grant_id, key_sha256)

    async def read_paid(self, grant_id: str, number: int) -> Paid | None:
        """What the posted event of this number has paid for, read outside any batch."""
        with _outages():
            return load_paid(self._open_reader(), grant_id, number)

    async def read_standing(self, frame: Frame, at_us: int) -> Standing:
        """How the frame stands at the moment, read outside any batch."""
        with _outages():
            return load_standing(self._open_reader(), frame, at_us)

    async def close(self) -> None:
        """Close the connections and the thread."""
        if self._thread is not None:
            self._thread.shutdown()
        for connection in (self._connection, self._reader):
            if connection is not None:
                connection.close()
        self._connection = self._reader = None

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._pace.slow:
            return work()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "tally")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path)
        return self._connection

    def _open_reader(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = _connect(self._path)
        return self._reader

    def _try_begin(self) -> bool:
        try:
            with _outages():
                self._open().execute("BEGIN IMMEDIATE")
        except _Busy:
            return False
        return True

    def _settle(self, batch: Batch) -> list[Settled]:
        with self._committing() as connection:
            book = load_book(connection, batch)
            answers = settle(batch, book)
            write_book(connection, book)
        return answers

    def _void(self, void: Void) -> Settled:
        with self._committing() as connection:
            return void_event(connection, void)

    @contextmanager
    def _committing(self) -> Iterator[sqlite3.Connection]:
        """Commit what was done inside, or undo it and raise `Outage`; busy is an outage here."""
        connection = self._open()
        try:
            with _outages():
                yield connection
                started = time.monotonic()
                connection.execute("COMMIT")
                self._pace.took(time.monotonic() - started)
        except BaseException:
            self._abandon(connection)
            raise

    def _abandon(self, connection: sqlite3.Connection) -> None:
        """Undo; a connection that cannot even do that is replaced."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            self._connection = None


class _Busy(Outage):
    """Another process is writing."""


@contextmanager
def _outages() -> Iterator[None]:
    """Tell whatever the store fails with as an `Outage`; a broken constraint is a bug."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise _Busy("The usage store is busy; try again.") from error
        raise Outage("The usage store did not answer; try again.") from error
    except sqlite3.DatabaseError as error:
        raise Outage("The usage store did not answer; try again.") from error


def _connect(path: str) -> sqlite3.Connection:
    # `rw`: a store that was never made is an outage, not a new empty file.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
