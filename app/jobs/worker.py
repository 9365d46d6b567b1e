"""The worker: takes due jobs, runs them, and keeps the schedule."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterable, Sequence
from uuid import uuid4

import structlog

from app.db.installation import Installation
from app.jobs.kinds import JobKind, Lane, Recurring
from app.jobs.models import Job
from app.jobs.queue import claim, complete, put_back
from app.kernel.actor import job_actor

IDLE_S = 0.1
AFTER_FAILURE_S = 1.0
SLOW_THREADS = 2

log = structlog.get_logger("jobs")


class Worker:
    """Runs jobs of an installation; several workers, in several processes, may share a queue."""

    def __init__(
        self,
        installation: Installation,
        kinds: Iterable[JobKind],
        schedule: Iterable[Recurring] = (),
    ) -> None:
        self._installation = installation
        self._kinds = {kind.name: kind for kind in kinds}
        self._schedule = tuple(schedule)

    def run_due(self, limit: int = 1000) -> int:
        """Run due jobs until none is left, then say how many; for tests and tools."""
        names = tuple(self._kinds)
        for count in range(limit):
            if not self._run_one(names):
                return count
        return limit

    def run_schedule_once(self) -> None:
        """Run each recurring piece of work once; for tests and tools."""
        for recurring in self._schedule:
            recurring.run(self._installation)

    def run_forever(self, stop: threading.Event) -> None:
        """Serve until `stop` is set: a thread for fast jobs, two for slow, one per recurring."""
        lanes = [Lane.FAST] + [Lane.SLOW] * SLOW_THREADS
        threads = [threading.Thread(target=self._serve_lane, args=(lane, stop)) for lane in lanes]
        threads += [
            threading.Thread(target=self._keep_time, args=(recurring, stop))
            for recurring in self._schedule
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve_lane(self, lane: Lane, stop: threading.Event) -> None:
        names = tuple(kind.name for kind in self._kinds.values() if kind.lane is lane)
        while names and not stop.is_set():
            try:
                busy = self._run_one(names)
            except Exception as error:  # noqa: BLE001 - the lane outlives any failure of the store
                log.error("jobs cannot be taken", error=describe(error))
                stop.wait(AFTER_FAILURE_S)
            else:
                if not busy:
                    stop.wait(IDLE_S)

    def _keep_time(self, recurring: Recurring, stop: threading.Event) -> None:
        every_s = recurring.every_s(self._installation)
        while not stop.is_set():
            started = time.monotonic()
            try:
                recurring.run(self._installation)
            except Exception as error:  # noqa: BLE001 - the schedule outlives any failure
                log.error("recurring work failed", job=recurring.name, error=describe(error))
            stop.wait(max(0.0, every_s - (time.monotonic() - started)))

    def _run_one(self, names: Sequence[str]) -> bool:
        token = str(uuid4())
        with self._installation.transaction(job_actor("jobs")) as session:
            job = claim(session, names, lease_s=self._lease_s(names), token=token)
        if job is None:
            return False
        kind = self._kinds[job.kind]
        try:
            kind.run(self._installation, job.payload)
        except Exception as error:  # noqa: BLE001 - however it fails, it is put back
            log.warning("job failed", job=job.kind, job_id=job.id, error=describe(error))
            self._put_back(job, token, error, kind)
            return True
        with self._installation.transaction(job_actor("jobs")) as session:
            complete(session, job, token)
        return True

    def _put_back(self, job: Job, token: str, error: Exception, kind: JobKind) -> None:
        with self._installation.transaction(job_actor("jobs")) as session:
            put_back(session, job, token, describe(error), kind)

    def _lease_s(self, names: Sequence[str]) -> int:
        return max(self._kinds[name].lease_s for name in names)


def describe(error: Exception) -> str:
    """One line for the log: the kind of error, where it was raised, and its text, bounded."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}: {error}"[:500]
