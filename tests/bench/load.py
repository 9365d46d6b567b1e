"""Load by wrk, and medians of interleaved runs."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ROUNDS = 5
SECONDS = 3


class LoadToolMissing(Exception):
    """wrk is not installed; the text says how to get it."""


@dataclass(frozen=True)
class Spread:
    """What several runs of one thing gave."""

    median: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}–{self.high:{spec}})"

    def __str__(self) -> str:
        return f"{self:,.0f}"


def spread(values: list[float]) -> Spread:
    """The median, least and greatest of `values`."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Shot:
    """One run of wrk."""

    requests_per_s: float
    p99_ms: float
    errors: int


def load_tool() -> str:
    """Where wrk is; raises `LoadToolMissing`, which says how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise LoadToolMissing("wrk is missing; on Debian: apt-get install wrk")
    return found


def shoot(url: str, headers: Mapping[str, str], connections: int) -> Shot:
    """Load `url` (loopback only) for a few seconds and read what wrk says."""
    wrk = load_tool()
    assert url.startswith("http://127.0.0.1:"), "load goes to loopback only"
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    command = [wrk, "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", *options, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    assert rate is not None
    assert p99 is not None
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]]
    return Shot(float(rate[1]), float(p99[1]) * scale, int(wrong[1]) if wrong else 0)


def interleaved(
    shots: Mapping[str, Callable[[], Shot]], rounds: int = ROUNDS
) -> dict[str, list[Shot]]:
    """Take every shot in turn, `rounds` times, after one warm-up round that is not counted."""
    found: dict[str, list[Shot]] = {name: [] for name in shots}
    for number in range(rounds + 1):
        for name, take in shots.items():
            shot = take()
            if number:
                found[name].append(shot)
    return found


@dataclass(frozen=True)
class Figure:
    """One line of the report: ours beside the peer, pair by pair."""

    name: str
    ours: list[Shot]
    peer: list[Shot]
    bar: float

    def as_dict(self) -> dict[str, Any]:
        """The line as JSON."""
        ratios = spread(
            [a.requests_per_s / b.requests_per_s for a, b in zip(self.ours, self.peer, strict=True)]
        )
        return {
            "figure": self.name,
            "ours": str(spread([shot.requests_per_s for shot in self.ours])),
            "peer": str(spread([shot.requests_per_s for shot in self.peer])),
            "ratio": round(ratios.median, 3),
            "ratio_min": round(ratios.low, 3),
            "ratio_max": round(ratios.high, 3),
            "p99_ms": round(statistics.median(shot.p99_ms for shot in self.ours), 2),
            "peer_p99_ms": round(statistics.median(shot.p99_ms for shot in self.peer), 2),
            "errors": sum(shot.errors for shot in self.ours + self.peer),
            "bar": self.bar,
            "met": ratios.median >= self.bar,
        }
