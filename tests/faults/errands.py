"""Errands: work beside calls, each life of it a fork that ends by kill -9 at some step of its way.

What a step is: a statement or commit in either store, the moment after a commit, or a file that is
forced to disk. A life that
came to the end of its errand says so by its exit code: somebody was told.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from typing import Any

from sqlalchemy import event

from app import wiring
from app.contracts.signing import OfferedSignature, agree_terms, verify_terms
from app.db.installation import Installation, open_installation
from app.http.logs import configure_logs
from app.jobs.worker import Worker
from app.kernel.actor import Actor
from app.kernel.clock import SetClock
from app.kernel.refusals import Refusal
from app.settings import Settings
from tests.faults.lives import BOUND_S, processes
from tests.faults.mortal import KEYS, die

LEASE = timedelta(seconds=601)  # longer than any job is held for
REFUSED = 3
STEPS_MAX = 60
Errand = Callable[[Installation], None]


@dataclass(frozen=True)
class End:
    """A life ends at its `step`-th step, or so many seconds after its first; or never."""

    step: int = sys.maxsize
    after_s: float | None = None


def chosen_end(chance: random.Random) -> End:
    """Any step, or between two of them: inside a statement, a commit, a request to somebody."""
    if chance.random() < 0.25:
        return End(after_s=chance.uniform(0, 0.1))
    return End(step=chance.randint(1, STEPS_MAX))


class _Steps:
    def __init__(self, end: End) -> None:
        self._end = end
        self._taken = 0

    def take(self, *_: Any) -> None:
        if self._taken == 0 and self._end.after_s is not None:
            threading.Timer(self._end.after_s, die).start()
        self._taken += 1
        if self._taken >= self._end.step:
            die()


def run_errand(settings: Settings, at: datetime, errand: Errand, end: End) -> None:
    """One life: what the forked process does."""
    configure_logs()
    installation = open_installation(settings, SetClock(at), KEYS)
    steps = _Steps(end)
    for engine in (installation.market, installation.usage):
        event.listen(engine, "before_cursor_execute", steps.take)
        really_commit = engine.dialect.do_commit

        def commit(connection: Any, really: Callable[[Any], None] = really_commit) -> None:
            steps.take()
            really(connection)
            steps.take()

        engine.dialect.do_commit = commit  # type: ignore[method-assign]
    really_force = os.fsync

    def force(descriptor: int) -> None:
        steps.take()
        really_force(descriptor)

    os.fsync = force
    try:
        errand(installation)
    except Refusal:
        os._exit(REFUSED)
    os._exit(0)  # not to wait for a timer


@dataclass
class Lives:
    """Lives of errands on one installation, and how many of them were killed."""

    installation: Installation
    clock: SetClock
    chance: random.Random
    killed: int = 0
    begun: list[ForkServerProcess] = field(default_factory=list)

    def begin(self, errand: Errand, end: End) -> ForkServerProcess:
        """Begin a life that ends so."""
        arguments = (self.installation.settings, self.clock.now(), errand, end)
        process = processes.Process(target=run_errand, args=arguments, daemon=True)
        process.start()
        self.begun.append(process)
        return process

    def fate(self, process: ForkServerProcess) -> int | None:
        """The exit code of a life; None when it was killed."""
        process.join(BOUND_S)
        assert process.exitcode in (0, REFUSED, -signal.SIGKILL), process.exitcode
        if process.exitcode == -signal.SIGKILL:
            self.killed += 1
            return None
        return process.exitcode

    def work_until(self, done: Callable[[], bool]) -> None:
        """Workers one after the other, each killed somewhere, until everything is done.

        A dead worker's job is taken over when its lease is over.
        """
        for _ in range(200):
            self.fate(self.begin(work, chosen_end(self.chance)))
            self.clock.advance(LEASE)
            if done():
                return
        raise AssertionError("the work does not come to its end")


def work(installation: Installation) -> None:
    """Every job that is due."""
    Worker(installation, wiring.JOBS).run_due()


def sign(
    installation: Installation, actor: Actor, negotiation_id: str, verb: str, jws: str
) -> None:
    """A party signs the terms."""
    step = {"agree": agree_terms, "verify": verify_terms}[verb]
    with installation.transaction(actor) as session:
        step(session, negotiation_id, OfferedSignature(jws))
