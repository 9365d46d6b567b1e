"""`make bench`: prints a line for each figure, and writes the same as JSON to `.bench/`.

It measures and does not judge: it exits 0 whatever it found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from tests.bench.growth import events_lines, grants_lines, memory_lines
from tests.bench.hosted import hosted_lines
from tests.bench.metered import metered_lines, redis_lines
from tests.bench.node import fastify_lines
from tests.bench.profiling import profile_lines
from tests.bench.proxied import proxied_lines
from tests.bench.report import HEAD, Line, NotMeasured
from tests.bench.start_up import start_up_lines
from tests.bench.workers import workers_lines

OUT = Path(".bench")

FIGURES: Mapping[str, Callable[[], Iterable[Line]]] = {
    "embedded": partial(metered_lines, "embedded"),
    "postgres": partial(metered_lines, "postgres"),
    "redis": redis_lines,
    "fastify": fastify_lines,
    "hosted": hosted_lines,
    "grants": grants_lines,
    "events": events_lines,
    "memory": memory_lines,
    "proxied": proxied_lines,
    "workers": workers_lines,
    "start-up": start_up_lines,
}

# Told only when asked for: explanations, not figures.
ASIDE: Mapping[str, Callable[[], Iterable[Line]]] = {"profile": profile_lines}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", choices=[*FIGURES, *ASIDE], default=None)
    only = parser.parse_args().only
    print(HEAD, flush=True)
    lines: list[Line] = []
    for name in [only] if only else FIGURES:
        lines += _measured(name)
    OUT.mkdir(exist_ok=True)
    found = [line.as_dict() for line in lines]
    (OUT / "figures.json").write_text(json.dumps(found, indent=1, ensure_ascii=False))


def _measured(name: str) -> list[Line]:
    """The lines of one figure, printed; how long they took goes to stderr."""
    began = time.monotonic()
    lines: list[Line] = []
    try:
        for line in {**FIGURES, **ASIDE}[name]():
            print(line, flush=True)
            lines.append(line)
    except NotMeasured as missing:
        print(f"{name} | not measured: {missing}", flush=True)
    except Exception as error:
        traceback.print_exc()
        print(f"{name} | not measured: {type(error).__name__}, told on stderr", flush=True)
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return lines


if __name__ == "__main__":
    main()
