"""Watching: how a worker learns of new, changed and ended rights, several times a second.

A worker whose last good look is over a second old serves nothing: access that was cut stays cut,
whatever happens to the worker, the stores, or the network between them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from app.accounts.oauth.liveness import ended_subjects
from app.db.changes import Changes, changes_since, last_change
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.metering.gateway.admission import GrantBook
from app.metering.gateway.principals import PrincipalCache
from app.metering.granting import load_grant, load_grants
from app.metering.grants import CompiledGrant, share_terms
from app.metering.tables import GRANT_TOPIC

STALE_AFTER_S = 1.0
# After a stall of this process its look is overdue, and comes within milliseconds.
CATCH_UP_S = 0.5
STALL_MAX_S = 5.0
# A look that takes longer hangs on a line that nobody has told us is dead. Loading all takes time.
LOOK_MAX_S = 10.0
LOAD_MAX_S = 120.0

log = structlog.get_logger("gateway")


@dataclass(frozen=True)
class News:
    """What one look at the stores has found; `everything` replaces all grants."""

    grants: tuple[CompiledGrant, ...]
    everything: bool
    last_number: int
    ended: frozenset[str]


class Watcher:
    """Keeps a worker's grants and principals up to date."""

    def __init__(
        self, installation: Installation, grants: GrantBook, principals: PrincipalCache
    ) -> None:
        self._installation = installation
        self._grants = grants
        self._principals = principals
        self._last_number: int | None = None
        self._good_at_s = float("-inf")
        self._looking = asyncio.Lock()
        self._good_look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # Its own: whatever keeps the other threads busy, access that was cut is seen in time.
        self._thread = _new_thread()

    @property
    def is_current(self) -> bool:
        """Whether the last good look is young enough to serve by."""
        return time.monotonic() - self._good_at_s <= STALE_AFTER_S

    async def catch_up(self) -> bool:
        """Whether a good look, overdue because this process was busy, comes within `CATCH_UP_S`.

        A stall of our own counts as staleness, for access may have been cut meanwhile; but it ends
        with one look, and nobody has to be refused for it. Stores that are away are not waited for.
        """
        if time.monotonic() - self._good_at_s > STALL_MAX_S:
            return False
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._good_look.wait()
        except TimeoutError:
            return False
        return self.is_current

    async def start(self) -> None:
        """Load everything if the stores answer, then go on looking; never fails."""
        await self._look()
        self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Look now, unless somebody has begun to meanwhile; raises what the stores raise."""
        asked_s = time.monotonic()
        async with self._looking:
            if self._good_at_s >= asked_s:
                return
            started_s = time.monotonic()
            news = await self._read_in_time()
            self._take_in(news, started_s)

    async def _read_in_time(self) -> News:
        """What a look finds. One that hangs is left to itself, with its thread and connections."""
        limit_s = LOAD_MAX_S if self._last_number is None else LOOK_MAX_S
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit_s):
                news = await loop.run_in_executor(
                    self._thread, _read, self._installation, self._last_number
                )
        except TimeoutError:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = _new_thread()
            await loop.run_in_executor(self._thread, _connect_anew, self._installation)
            raise
        if news is None:
            self._last_number = None
            return await self._read_in_time()
        return news

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._installation.settings.change_poll_s)
            await self._look()

    async def _look(self) -> None:
        try:
            await self.look()
        except Exception as error:  # noqa: BLE001 - whatever it is, we are stale until it is over
            log.warning("stores not read", error=f"{type(error).__name__}: {error}"[:300])

    def _take_in(self, news: News, as_of_s: float) -> None:
        if news.everything:
            self._grants.replace_all(news.grants)
        else:
            for grant in news.grants:
                self._grants.put(grant)
        self._principals.end(news.ended)
        self._last_number = news.last_number
        self._good_at_s = as_of_s
        # Wake who waits for this look, and let others wait for the next.
        self._good_look.set()
        self._good_look = asyncio.Event()


def _new_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="watch")


def _connect_anew(installation: Installation) -> None:
    """Let the next look have new connections to both stores."""
    for engine in (installation.usage, installation.market):
        engine.dispose()


def _read(installation: Installation, last_number: int | None) -> News | None:
    """What is new since `last_number`, everything when there is none; None when the feed has a gap:
    everything is to be read anew.
    """
    if last_number is None:
        return _everything(installation)
    grants: list[CompiledGrant] = []
    with installation.usage.connect() as connection:
        changes = changes_since(connection, last_number)
        while changes.items and changes.complete:
            grants.extend(_changed(changes, lambda name: load_grant(connection, name)))
            last_number = changes.last_number
            changes = changes_since(connection, last_number)
    if not changes.complete:
        return None
    return News(tuple(grants), False, last_number, _ended(installation))


def _everything(installation: Installation) -> News:
    with installation.usage.connect() as connection:
        # The number first: what changes while we load is then loaded once more.
        last_number = last_change(connection)
    alike: dict[str, CompiledGrant] = {}  # or all of them stand here unshared for a moment
    with installation.usage.connect() as connection:
        grants = tuple(share_terms(grant, alike) for grant in load_grants(connection))
    return News(grants, True, last_number, _ended(installation))


def _changed(
    changes: Changes, load: Callable[[str], CompiledGrant | None]
) -> Iterator[CompiledGrant]:
    names = dict.fromkeys(item.subject for item in changes.items if item.topic == GRANT_TOPIC)
    for name in names:
        if (grant := load(name)) is not None:
            yield grant


def _ended(installation: Installation) -> frozenset[str]:
    with installation.transaction(job_actor("gateway"), writes=False) as session:
        return ended_subjects(session)
