"""Opening: what every process does first, and the installation that its environment names."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.db.installation import Installation, open_installation
from app.http.logs import configure_logs
from app.kernel.clock import SystemClock
from app.kernel.key_file import NAME, WatchedKeys
from app.settings import Settings

DIE_WITH_PARENT = "ZHIGU_DIE_WITH_PARENT"
WORKERS_VARIABLE = "ZHIGU_SERVING_WORKERS"
_PR_SET_PDEATHSIG = 1


class NotInitialised(Exception):
    """There is no installation at `home`: `zhigu init` makes one."""


def open_home(settings: Settings) -> Installation:
    """The installation that `zhigu init` made at `settings.home`."""
    try:
        keys = WatchedKeys(settings.home / NAME)
    except FileNotFoundError as error:
        raise NotInitialised(f"{settings.home} is not initialised: run `zhigu init`") from error
    return open_installation(settings, SystemClock(), keys)


def prepare_process() -> None:
    """What every serving process does first: logs, and the promise to end when its parent does."""
    configure_logs()
    if os.environ.get(DIE_WITH_PARENT) and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Let one process at a time make or change the keys of `home`: two that make a master key at
    once would seal with a key that the other replaces.
    """
    with (home / "init.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
