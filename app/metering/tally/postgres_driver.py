"""The tally's PostgreSQL driver: one call of one function per batch, one round trip, autocommitted.

When a batch's fate is unknown (the connection broke, the server was stopped), it is sent again on a
new connection, marked `again`: under the grants' locks the function finds what the first try has
committed. Only if that cannot be had in time are the calls told of an outage.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import structlog
from sqlalchemy import make_url

from app.db.engine import pooled_url
from app.kernel.refusals import Outage
from app.metering.grants import Counter, CounterKey, Frame
from app.metering.tally.calls import Batch, Call, KnownKey, Outcome, Paid, Settled, Standing, Void
from app.metering.tally.pooled import LentConnection
from app.metering.tally.settling import frames_of

CONNECT_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 5.0
RECOVERY_BOUND_S = 3.0
RETRY_EVERY_S = 0.1
# The function's plans are made once, perhaps while the tables are still empty: only ever by index.
# A pooler that lends its connections has these set anew in each transaction.
SETTINGS = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "lock_timeout": "4000",
    "statement_timeout": "4500",
}
# These PgBouncer keeps for each of its clients by itself.
SESSION = {"application_name": "zhigu-tally", "timezone": "UTC"}

T = TypeVar("T")
log = structlog.get_logger("tally")


class PostgresDriver:
    """One connection for one writer; it reconnects by itself."""

    def __init__(self, dsn: str) -> None:
        url, self._is_lent = pooled_url(make_url(dsn))
        self._dsn = url.render_as_string(hide_password=False)
        self._connection: asyncpg.Connection | None = None
        self._reader: asyncpg.Connection | None = None
        self._reading = asyncio.Lock()

    async def begin(self) -> None:
        """Have a connection; raises `Outage` when there is none to be had."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()

    async def settle(self, batch: Batch) -> list[Settled]:
        """Settle `batch` in one transaction and wait for its commit."""
        if not batch.calls:
            return []
        columns = BatchColumns(batch)
        again = batch.again

        async def settle(connection: asyncpg.Connection) -> Any:
            nonlocal again
            this_time, again = again, True
            modes = this_time, batch.afterwards, batch.counts_at_us
            return await connection.fetchrow(_SETTLE, *modes, *columns.arguments())

        return columns.answers(await self._until_known(settle))

    async def void(self, void: Void) -> Settled:
        """Take an event back; repeating it is harmless, so an unknown fate is simply repeated."""

        async def take_back(connection: asyncpg.Connection) -> Any:
            return await connection.fetchrow(_VOID, *void_arguments(void))

        row = await self._until_known(take_back)
        return Settled(Outcome(row[0]), row[1], row[2], row[3])

    async def find_key(self, grant_id: str, key_sha256: str) -> KnownKey | None:
        """What is remembered of an Idempotency-Key, on a connection of its own."""
        row = await self._read(lambda reader: reader.fetchrow(_KEY, grant_id, key_sha256))
        return None if row is None else KnownKey(*row)

    async def read_paid(self, grant_id: str, number: int) -> Paid | None:
        """What the posted event of this number has paid for, on a connection of its own."""
        row = await self._read(lambda reader: reader.fetchrow(_PAID, grant_id, number))
        return None if row is None else Paid(*row)

    async def read_standing(self, frame: Frame, at_us: int) -> Standing:
        """How the frame stands at the moment, on a connection of its own."""
        rows = await self._read(
            lambda reader: reader.fetch(_COUNTERS, frame.grant_id, frame.starts_at_us)
        )
        used = {CounterKey(*row[:4]): row[4] for row in rows}
        left = await self._read(
            lambda reader: reader.fetchval(_GRANTED_LEFT, frame.grant_id, frame.meter, at_us)
        )
        return Standing(tuple(used.get(counter.key, 0) for counter in frame.counters), left)

    async def _read(self, ask: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        """What the reading connection answers; a broken one is replaced once."""
        failure: BaseException | None = None
        async with self._reading:
            for _ in range(2):
                try:
                    if self._reader is None or self._reader.is_closed():
                        self._reader = await self._connect()
                    return await ask(self._reader)
                except _UNKNOWN as error:
                    failure = error
                    await _drop(self._reader)
                    self._reader = None
                except asyncpg.PostgresError as error:
                    raise _away() from error
        raise _away() from failure

    async def close(self) -> None:
        """Close the connections."""
        for connection in (self._connection, self._reader):
            await _drop(connection)
        self._connection = self._reader = None

    async def _until_known(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """`work`'s answer, tried again on a new connection while its fate is unknown."""
        bound = time.monotonic() + RECOVERY_BOUND_S
        while True:
            try:
                await self.begin()
                assert self._connection is not None
                return await work(self._connection)
            except _UNKNOWN as error:
                log.warning("usage store broke off", error=f"{type(error).__name__}: {error}"[:300])
                await _drop(self._connection)
                self._connection = None
                if time.monotonic() > bound:
                    raise _away() from error
            except asyncpg.PostgresError as error:
                if not isinstance(error, _ROLLED_BACK) or time.monotonic() > bound:
                    raise Outage("The usage store refused the batch; try again.") from error
            except Outage:
                if time.monotonic() > bound:
                    raise
            await asyncio.sleep(RETRY_EVERY_S)

    async def _connect(self) -> asyncpg.Connection:
        try:
            if self._is_lent:
                return LentConnection(await self._open(SESSION, statement_cache_size=0), SETTINGS)
            connection = await self._open({**SESSION, **SETTINGS})
            if await connection.fetchval("SHOW synchronous_commit") == "off":
                # A billed call must be on disk before it is served, whatever the server's default.
                await connection.execute("SET synchronous_commit = on")
        except (*_UNKNOWN, asyncpg.PostgresError) as error:
            raise _away() from error
        return connection

    async def _open(self, settings: dict[str, str], **options: int) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=settings,
            **options,
        )


def _away() -> Outage:
    return Outage("The usage store did not answer; try again.")


async def _drop(connection: asyncpg.Connection | None) -> None:
    if connection is not None and not connection.is_closed():
        connection.terminate()


# After these nobody can say whether the transaction was committed.
_UNKNOWN: tuple[type[BaseException], ...] = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    # asyncpg's word for a connection whose farewell it has read, but not yet that it is closed.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
# After these it certainly was not, and another try may fare better.
_ROLLED_BACK = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

_SETTLE = f"SELECT * FROM usage_settle({', '.join(f'${n}' for n in range(1, 27))})"  # noqa: S608 - numbers only
_VOID = "SELECT * FROM usage_void($1, $2, $3, $4, $5, $6, $7, $8)"
_KEY = """
SELECT event_id, number, request_sha256, replays, replay_until_us, expires_at_us
FROM usage_key WHERE grant_id = $1 AND key_sha256 = $2"""
_PAID = """
SELECT meter, units FROM usage_event WHERE grant_id = $1 AND number = $2 AND kind = 'posted'"""

_COUNTERS = """
SELECT grant_id, meter, kind, starts_at_us, used_units FROM usage_window
WHERE grant_id = $1 AND ends_at_us > $2"""
_GRANTED_LEFT = """
SELECT coalesce(sum(amount_units - burned_units), 0)::bigint FROM unit_grant
WHERE grant_id = $1 AND meter = $2 AND starts_at_us <= $3 AND ends_at_us > $3"""


class BatchColumns:
    """A batch as the arrays that the function takes, with every index from 1 as SQL counts."""

    def __init__(self, batch: Batch) -> None:
        self._calls = batch.calls
        frames = list(frames_of(batch))
        grants = sorted({frame.grant_id for frame in frames})
        self._grants = {grant_id: index for index, grant_id in enumerate(grants, 1)}
        self._frames: dict[Frame, int] = {frame: index for index, frame in enumerate(frames, 1)}
        self._links = [counter for frame in frames for counter in frame.counters]
        keys = dict.fromkeys(counter.key for counter in self._links)
        self._counters: dict[CounterKey, int] = {key: index for index, key in enumerate(keys, 1)}

    def arguments(self) -> tuple[object, ...]:
        """Everything after the three modes, in the function's order."""
        lasts = []
        total = 0
        for frame in self._frames:
            total += len(frame.counters)
            lasts.append(total)
        firsts = [
            last - len(frame.counters) + 1 for frame, last in zip(self._frames, lasts, strict=True)
        ]
        return (
            list(self._grants),
            [self._grants[frame.grant_id] for frame in self._frames],
            [frame.epoch for frame in self._frames],
            [frame.meter for frame in self._frames],
            firsts,
            lasts,
            *_link_columns(self._links, self._counters),
            [self._grants[key.grant_id] for key in self._counters],
            [key.meter for key in self._counters],
            [key.kind for key in self._counters],
            [key.starts_at_us for key in self._counters],
            *_call_columns(self._calls, self._frames),
        )

    def answers(self, row: Any) -> list[Settled]:
        """The function's row as one answer per call."""
        outcomes, events, numbers, settled, used, left = row
        by_frame = {
            frame: tuple(used[self._counters[counter.key] - 1] for counter in frame.counters)
            for frame in self._frames
        }
        return [
            Settled(
                *(_OUTCOMES[outcome], event_id, number, settled_at_us, by_frame[call.frame]),
                granted_left,
            )
            for call, outcome, event_id, number, settled_at_us, granted_left in zip(
                self._calls, outcomes, events, numbers, settled, left, strict=True
            )
        ]


def void_arguments(void: Void) -> tuple[object, ...]:
    """A void as the function takes it."""
    return (
        void.grant_id,
        void.event_id,
        void.void_event_id,
        void.at_us,
        void.status,
        void.key_sha256,
        void.replayed,
        void.counts_at_us,
    )


def _link_columns(links: list[Counter], counters: dict[CounterKey, int]) -> tuple[object, ...]:
    return (
        [counters[link.key] for link in links],
        [link.ends_at_us for link in links],
        [link.limit_units for link in links],
    )


def _call_columns(calls: tuple[Call, ...], frames: dict[Frame, int]) -> tuple[object, ...]:
    return (
        [frames[call.frame] for call in calls],
        [call.event_id for call in calls],
        [call.at_us for call in calls],
        [call.units for call in calls],
        [call.operation for call in calls],
        [call.status for call in calls],
        [call.bytes for call in calls],
        [call.request_sha256 for call in calls],
        [call.key_sha256 for call in calls],
        [call.replay_until_us for call in calls],
    )


_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
