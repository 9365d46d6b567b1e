"""Where the CPU of a metered call goes: `make bench ONLY=profile`, not part of a whole run.

By cProfile, whose shares are laid on the CPU that a call takes without it: parts of many small
functions look somewhat larger than they are. What the web server does around a call is not in it:
that is the same for both routes.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from litestar import Litestar

import app
from tests.bench.app import PAGE, bare
from tests.bench.inprocess import (
    CALLERS,
    CALLS,
    call_us,
    counted,
    give,
    open_gateway,
    run,
    scope_of,
)
from tests.bench.report import Line
from tests.bench.serving import ENGINES
from tests.bench.serving import PAGE as BARE_PAGE

RUNS = 5
ONE = "org_0"
OURS = str(Path(app.__file__).parent)
ELSE = "the event loop, libraries and the bench"
SHARES_FROM = 0.015

Function = tuple[str, int, str]


def profile_lines() -> Iterator[Line]:
    """The CPU of a metered call and of a bare one, in process; then the parts of the former."""
    PAGE.update(BARE_PAGE)
    for engine in ENGINES:
        parts: Counter[str] = Counter()
        taken = _taken_us(engine, parts)
        name = f"CPU of a call in process, {engine}"
        yield Line(f"{name}, metered / bare, µs", taken["metered"], taken["bare"], spec=".1f")
        if engine == "postgres":
            server = [a - b for a, b in zip(taken["metered"], taken["ours"], strict=True)]
            yield Line(f"{name}, of it in the database server, µs", server, spec=".1f")
        for part, own_s in parts.most_common():
            share = own_s / parts.total()
            if share >= SHARES_FROM:
                each_us = [share * one for one in taken["ours"]]
                yield Line(f"{name}, of it in {part}, µs", each_us, spec=".1f")


def _taken_us(engine: str, parts: Counter[str]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"metered": [], "ours": [], "bare": []}
    plain = Litestar([bare], openapi_config=None, logging_config=None)
    with counted(engine) as store:
        give(store.installation, [ONE])

        async def story() -> None:
            gateway = open_gateway(store.installation)
            await gateway.start()
            call, bare_call = [scope_of(ONE)], [scope_of(ONE, "/bare", b"")]
            await call_us(gateway, call, store.cpu_s)
            for _ in range(RUNS):
                taken["bare"].append(await call_us(plain, bare_call, store.cpu_s))
                own_s = time.process_time()
                taken["metered"].append(await call_us(gateway, call, store.cpu_s))
                taken["ours"].append((time.process_time() - own_s) / (CALLERS * CALLS) * 1e6)
            with cProfile.Profile(time.thread_time) as profile:
                await call_us(gateway, call, store.cpu_s)
            parts.update(parts_of(pstats.Stats(profile).stats))  # type: ignore[attr-defined]
            await gateway.stop()

        run(story())
    return taken


def parts_of(stats: Mapping[Function, Any]) -> Counter[str]:
    """Seconds by file of ours; what others' code took is its callers', unless it is nobody's."""
    parts: Counter[str] = Counter()
    for (file, _, name), (_, _, own_s, _, callers) in stats.items():
        if file.startswith(OURS):
            parts[file.removeprefix(OURS + "/")] += own_s
        elif not callers:
            parts[ELSE] += own_s
        else:
            for (caller, _, _), (_, _, called_s, _) in callers.items():
                ours = caller.startswith(OURS)
                part = f"{caller.removeprefix(OURS + '/')}: {_short(name)}" if ours else ELSE
                parts[part] += called_s
    return parts


def _short(name: str) -> str:
    """`<method 'execute' of 'sqlite3.Connection' objects>` as `execute`."""
    quoted = name.split("'")
    return quoted[1] if len(quoted) > 2 else name
