"""What a package registers: kinds of job and recurring work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.db.installation import Installation

RunJob = Callable[[Installation, Mapping[str, Any]], None]


class Lane(StrEnum):
    """Which of a worker's threads runs a job: access must not wait behind a slow processor."""

    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True)
class JobKind:
    """A kind of job: `run(installation, payload)` opens its own transactions and is idempotent.

    Raising anything means: not done, try again after a pause that doubles up to `longest_pause_s`.
    After `max_attempts` it is left as failed; with None it is tried for ever.
    """

    name: str
    run: RunJob
    lane: Lane = Lane.SLOW
    lease_s: int = 60
    max_attempts: int | None = 20
    longest_pause_s: int = 600


@dataclass(frozen=True)
class Recurring:
    """Work done every `every_s` seconds by each worker; it elects by itself when it must."""

    name: str
    every_s: Callable[[Installation], float]
    run: Callable[[Installation], None]
