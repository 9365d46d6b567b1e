"""Load by wrk, and interleaved runs."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.bench.report import Bar, Line, NotMeasured

ROUNDS = 5
SECONDS = 2
P99_BAR = Bar(3.0, at_most=True)

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Shot:
    """One run of wrk."""

    requests_per_s: float
    p99_ms: float
    errors: int


@dataclass(frozen=True)
class Aim:
    """What wrk is pointed at."""

    url: str
    headers: Mapping[str, str]
    connections: int


def load_tool() -> str:
    """Where wrk is; raises `NotMeasured`, which says how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise NotMeasured("wrk is missing; on Debian: apt-get install wrk")
    return found


def shoot(aim: Aim) -> Shot:
    """Load the URL (loopback only) for a few seconds and read what wrk says."""
    wrk = load_tool()
    assert aim.url.startswith("http://127.0.0.1:"), "load goes to loopback only"
    options = [f"-H{name}: {value}" for name, value in aim.headers.items()]
    command = [wrk, "-t1", f"-c{aim.connections}", f"-d{SECONDS}s", "--latency", *options, aim.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return read_shot(done.stdout)


def read_shot(text: str) -> Shot:
    """What wrk has printed; an answer that is not 2xx and a broken connection are errors."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    assert rate is not None
    assert p99 is not None
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    errors = [*(refused.groups() if refused else ()), *(broken.groups() if broken else ())]
    return Shot(float(rate[1]), float(p99[1]) * scale, sum(map(int, errors)))


def interleaved(takes: Mapping[Name, Callable[[], T]], rounds: int = ROUNDS) -> dict[Name, list[T]]:
    """Take each in turn, `rounds` times, after one warm-up round that is not counted."""
    found: dict[Name, list[T]] = {name: [] for name in takes}
    for number in range(rounds + 1):
        for name, take in takes.items():
            taken = take()
            if number:
                found[name].append(taken)
    return found


def shoot_interleaved(aims: Mapping[Name, Aim]) -> dict[Name, list[Shot]]:
    """Shots at each aim, interleaved."""
    load_tool()
    return interleaved({name: lambda aim=aim: shoot(aim) for name, aim in aims.items()})


def throughput(figure: str, ours: Sequence[Shot], peer: Sequence[Shot], bar: Bar | None) -> Line:
    """How many calls we answer beside the peer."""
    return Line(
        f"{figure}, req/s",
        [shot.requests_per_s for shot in ours],
        [shot.requests_per_s for shot in peer],
        bar,
        p99_ms=(_p99_ms(ours), _p99_ms(peer)),
        errors=sum(shot.errors for shot in (*ours, *peer)),
    )


def slowest(figure: str, ours: Sequence[Shot], peer: Sequence[Shot]) -> Line:
    """The 99th percentile of ours beside the peer's."""
    return Line(
        f"{figure}, p99 ms",
        [shot.p99_ms for shot in ours],
        [shot.p99_ms for shot in peer],
        P99_BAR,
        spec=".1f",
        errors=sum(shot.errors for shot in (*ours, *peer)),
    )


def _p99_ms(shots: Sequence[Shot]) -> float:
    return statistics.median(shot.p99_ms for shot in shots)
