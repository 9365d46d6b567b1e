"""Denials: an upstream whose address was denied as it was connected to, told to the audit log.

Somebody registers a public name and lets it point inside later: that is an attack, or a mistake
that looks like one. One leaf per listing and minute, whoever calls how often, on however many
workers: the log cannot be flooded with them.
"""

from __future__ import annotations

import asyncio

import structlog

from app.audit.recording import record
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.metering.upstream import Upstream

DENIED = "upstream:address_denied"
MINUTE_US = 60_000_000
REMEMBERED_MAX = 10_000

log = structlog.get_logger("gateway")


class Denials:
    """Tells of denied addresses beside the calls, in threads; belongs to one event loop."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._minutes: dict[str, int] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def note(self, upstream: Upstream) -> None:
        """An address of `upstream` was denied; the call waits for nothing."""
        minute = self._installation.clock.now_us() // MINUTE_US
        if self._minutes.get(upstream.listing_id) == minute:
            return
        if len(self._minutes) >= REMEMBERED_MAX:
            self._minutes.clear()
        self._minutes[upstream.listing_id] = minute
        task = asyncio.create_task(asyncio.to_thread(self._tell, upstream, minute))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Wait until all is told."""
        await asyncio.gather(*self._telling)

    def _tell(self, upstream: Upstream, minute: int) -> None:
        try:
            with self._installation.transaction(job_actor(DENIED)) as session:
                record(
                    session,
                    DENIED,
                    upstream.listing_id,
                    organisations=(upstream.provider_id,),
                    dedupe_key=f"{DENIED}:{upstream.listing_id}:{minute}",
                    base_url=str(upstream.url),
                )
        except Exception as error:  # noqa: BLE001 - the call was refused all the same
            self._minutes.pop(upstream.listing_id, None)
            log.error("denial not told", error=type(error).__name__)
