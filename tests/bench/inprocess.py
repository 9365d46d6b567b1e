"""A gateway in the bench's own event loop: what a call costs in CPU, however busy the machine is.

The CPU is this process's and, on PostgreSQL, that of the server's processes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
import uvloop

from app.db.installation import Installation, open_installation
from app.initialising import migrate_stores
from app.kernel.actor import Actor, ActorKind
from app.kernel.clock import SystemClock
from app.kernel.sealing import MasterKeys
from app.main import SWITCH_INTERVAL_S
from app.metering.gateway.gateway import Gateway, make_gateway
from app.metering.granting import apply_grant
from app.settings import Settings
from tests.bench.serving import PLENTY, stores
from tests.metering.grant_documents import grant_document, quota

CALLERS = 32
CALLS = 320
"""How often each caller calls in one run."""
ROWS = 1_000
PATH = "/data/world-gdp/rows"
SECOND_TICKS = os.sysconf("SC_CLK_TCK")

App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Counted:
    """An installation of its own, and whose CPU is its store's."""

    installation: Installation
    server_pid: int | None

    def cpu_s(self) -> float:
        """The CPU that this process and the store's server have taken until now."""
        return time.process_time() + (_tree_cpu_s(self.server_pid) if self.server_pid else 0.0)


@contextmanager
def counted(engine: str) -> Iterator[Counted]:
    """Fresh stores with a hosted table of `ROWS` rows, and no grant yet."""
    with stores(engine) as urls, tempfile.TemporaryDirectory(prefix="zhigu-bench-") as home:
        settings = Settings(home=Path(home), market_url=urls["market"], usage_url=urls["usage"])
        migrate_stores(settings)
        keys = MasterKeys("bench", {"bench": b"k" * 32})
        installation = open_installation(settings, SystemClock(), keys)
        _make_table(settings.files_dir)
        try:
            yield Counted(installation, _postmaster(installation))
        finally:
            installation.market.dispose()
            installation.usage.dispose()


def give(installation: Installation, names: Sequence[str], **changes: Any) -> None:
    """A grant for each name, bought by an organisation of that name, all on one table."""
    at_us = installation.clock.now_us()
    terms = {
        "starts_at_us": 1,
        "ends_at_us": 2**52,
        "file": {
            "path": "rows.parquet",
            "rows": ROWS,
            "sha256": "0" * 64,
            "columns": [{"name": n, "type": t} for n, t in COLUMNS.items()],
        },
        "windows": [quota("month", PLENTY)],
        "rate": {"per_second": 10**7, "burst": 10**7},
        **changes,
    }
    with installation.usage_transaction() as connection:
        for name in names:
            apply_grant(connection, grant_document(f"grt_{name}", buyer_id=name, **terms), at_us)


def run(story: Coroutine[Any, Any, None]) -> None:
    """Play a story on the loop, and with the settings, that serving processes have."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        uvloop.run(story)
    finally:
        sys.setswitchinterval(before)


def open_gateway(installation: Installation) -> Gateway:
    """A gateway on the installation, not started; a test token is the name of its organisation."""
    gateway = make_gateway(installation, _verify)
    gc.collect()
    gc.freeze()  # as the server does
    return gateway


async def call_us(
    app: App, scopes: Sequence[Mapping[str, Any]], cpu_s: Callable[[], float], calls: int = CALLS
) -> float:
    """The CPU of one call in microseconds, over `calls` by each of `CALLERS` callers at once, who
    take the scopes in turn.
    """
    began_s = cpu_s()
    await asyncio.gather(*(_call(app, scopes, number, calls) for number in range(CALLERS)))
    return (cpu_s() - began_s) / (CALLERS * calls) * 1e6


def scope_of(name: str, path: str = PATH, query: bytes = b"limit=5") -> dict[str, Any]:
    """A call by the organisation `name` as a server hands it on."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {name}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "root_path": "",
        "state": {},
        "extensions": {},
    }


async def _call(app: App, scopes: Sequence[Mapping[str, Any]], at: int, calls: int) -> None:
    for number in range(calls):
        scope = scopes[(at * calls + number) % len(scopes)]
        await app({**scope}, _never, _sent)
        # An application that awaits nothing would else serve one caller after the other.
        await asyncio.sleep(0)


async def _sent(message: Mapping[str, Any]) -> None:
    if message["type"] == "http.response.start":
        assert message["status"] == 200, message


async def _never() -> Any:
    await asyncio.Event().wait()


def _verify(token: str) -> tuple[Actor, int]:
    scopes = frozenset({"data:read"})
    return Actor(ActorKind.CLIENT, f"cli_{token}", token, scopes=scopes, client_id=token), 2**40


COLUMNS = {"number": "BIGINT", "name": "VARCHAR", "value": "DOUBLE"}


def _make_table(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = "i AS number, 'row ' || i AS name, i * 1.5::DOUBLE AS value"
    select = f"SELECT {values} FROM range({ROWS}) t(i)"
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({select}) TO '{folder}/rows.parquet' (FORMAT parquet)")


def _postmaster(installation: Installation) -> int | None:
    """The process id of the PostgreSQL server; None on SQLite."""
    if installation.usage.dialect.name == "sqlite":
        return None
    with installation.usage.connect() as connection:
        backend = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    return int(_stat(backend)[1])


def _tree_cpu_s(parent: int) -> float:
    """The CPU of a process, of its children that run, and of those that have ended."""
    ticks = sum(map(int, _stat(parent)[11:15]))
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = _stat(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == parent:
            ticks += int(stat[11]) + int(stat[12])
    return ticks / SECOND_TICKS


def _stat(pid: int) -> list[str]:
    """What /proc says of a process, from its state on: the name before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
