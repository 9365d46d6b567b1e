"""Processes: the server, its worker, and the supervisor that keeps and ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from app.http.draining import FLAG_VARIABLE
from app.opening import DIE_WITH_PARENT, WORKERS_VARIABLE, open_home, prepare_process
from app.settings import load_settings

GRACE_S = 15.0
MIN_UPTIME_S = 2.0
MAX_QUICK_DEATHS = 3

log = structlog.get_logger("serving")


def run_server(host: str, port: int, workers: int) -> None:
    """Serve HTTP until told to stop; a worker process that dies is replaced."""
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels
    from granian.server import Server

    prepare_process()
    os.environ[WORKERS_VARIABLE] = str(workers)
    Server(
        "app.main:serving_app",
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        factory=True,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=int(GRACE_S),
        log_level=LogLevels.warning,
    ).serve()


def run_worker() -> None:
    """Run background jobs until told to stop."""
    from app.jobs.worker import Worker
    from app.wiring import JOBS, SCHEDULE

    prepare_process()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(open_home(load_settings()), JOBS, SCHEDULE).run_forever(stop)


@dataclass
class Child:
    """A process that the supervisor keeps alive."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    """Where its log lines go; to our stderr when it is None."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    quick_deaths: int = 0

    def start(self, extra_env: Mapping[str, str]) -> None:
        """Start it, in our own process group."""
        env = {**os.environ, **self.env, **extra_env, DIE_WITH_PARENT: "1"}
        with nullcontext() if self.log is None else self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, env=env, stderr=log)  # noqa: S603 - our own commands
        self.started = time.monotonic()

    def has_died(self) -> bool:
        """Whether it has ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send it `number` if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, timeout_s: float) -> None:
        """Wait for its end; kill it when it takes longer than `timeout_s`."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps children alive; on SIGTERM fails readiness, waits, then stops them in order."""

    def __init__(self, children: Sequence[Child], flag: Path, drain_delay_s: float) -> None:
        self._children = children
        self._flag = flag
        self._drain_delay_s = drain_delay_s
        self._stop = threading.Event()

    def start(self) -> None:
        """Start every child."""
        self._flag.parent.mkdir(parents=True, exist_ok=True)
        self._flag.unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        for child in self._children:
            child.start(self._env())

    def run(self) -> int:
        """Watch until told to stop, or until a child cannot be kept alive; the exit code."""
        code = 0
        while not self._stop.wait(0.2) and code == 0:
            for child in self._children:
                if child.has_died() and not self._revive(child):
                    code = 1
        self._shut_down(gently=code == 0)
        return code

    def stop(self) -> None:
        """Stop every child now."""
        self._shut_down(gently=False)

    def _env(self) -> Mapping[str, str]:
        return {FLAG_VARIABLE: str(self._flag)}

    def _revive(self, child: Child) -> bool:
        uptime = time.monotonic() - child.started
        child.quick_deaths = child.quick_deaths + 1 if uptime < MIN_UPTIME_S else 0
        log.warning("a child ended and is started again", job=child.name)
        if child.quick_deaths >= MAX_QUICK_DEATHS:
            log.error("a child does not stay alive", job=child.name)
            return False
        child.start(self._env())
        return True

    def _shut_down(self, *, gently: bool) -> None:
        self._flag.touch()
        if gently:
            time.sleep(self._drain_delay_s)
        for child in self._children:
            child.signal(signal.SIGTERM)
            child.wait(GRACE_S)
        self._flag.unlink(missing_ok=True)


def zhigu_command(*arguments: str) -> list[str]:
    """The command line of this same `zhigu`, for a child process."""
    return [sys.executable, "-m", "app.cli", *arguments]
