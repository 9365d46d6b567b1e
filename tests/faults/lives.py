"""Lives of a gateway, one after the other: each a fork of a process that is warm already."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess

import msgspec

from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.sandbox.upstream import KEY_HEADER, RunningUpstream
from app.settings import Settings
from tests.faults.mortal import Death, Point, live
from tests.live import free_port
from tests.metering.grant_documents import grant_document

BOUND_S = 60.0  # only against a hang: the first fork waits for every import

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        *(
            "tests.faults.mortal",
            "app.metering.tally.sqlite_driver",
            "app.metering.tally.postgres_driver",
        ),
        # What SQLAlchemy and pytest would else import in each life.
        *("psycopg", "sqlalchemy.dialects.sqlite.pysqlite", "pytest"),
        "sqlalchemy.dialects.postgresql.psycopg",
    ]
)


@dataclass
class Gateways:
    """Gateways on one installation's stores, each on a port of its own that outlives it."""

    settings: Settings
    ports: list[int] = field(default_factory=list)
    running: dict[int, ForkServerProcess] = field(default_factory=dict)

    def start(self, place: int = 0, death: Death | None = None) -> ForkServerProcess:
        """Begin a life at the `place`-th port; returns before it listens."""
        while len(self.ports) <= place:
            self.ports.append(free_port())
        arguments = (self.settings, self.ports[place], death or Death())
        process = processes.Process(target=live, args=arguments, daemon=True)
        process.start()
        self.running[place] = process
        return process

    def url(self, place: int = 0) -> str:
        """Where the gateway at `place` is reached."""
        return f"http://127.0.0.1:{self.ports[place]}"

    def end(self) -> None:
        """End whoever still lives."""
        for process in self.running.values():
            process.kill()
            process.join(BOUND_S)


@contextmanager
def gateways_on(installation: Installation, *upstreams: str) -> Iterator[Gateways]:
    """Gateways on the installation's stores, which may call the upstreams at these URLs."""
    ports = [url.rpartition(":")[2] for url in upstreams]
    settings = msgspec.structs.replace(
        installation.settings,
        upstream_allow=tuple(f"127.0.0.1/32:{port}" for port in ports),
        change_poll_s=0.1,
    )
    gateways = Gateways(settings)
    try:
        yield gateways
    finally:
        gateways.end()


def give_api(installation: Installation, upstream: RunningUpstream, **changes: object) -> None:
    """A grant on the upstream's API for `BUYER`."""
    sealed = installation.keys.seal(upstream.key.encode(), "upstream:lst_one")
    api = {
        "listing_id": "lst_one",
        "base_url": f"{upstream.url}/v1",
        "auth": {"kind": "header", "name": KEY_HEADER, "sealed": sealed},
        "timeout_s": 5,
        "body_max_bytes": 1_000_000,
        "methods": ["GET"],
    }
    document = grant_document(
        **{"channels_allowed": ["upstream"], "delivery": "upstream", "upstream": api, **changes}
    )
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, document, at_us=1)


def chosen_death(chance: random.Random, callers: int) -> Death:
    """Any of the points, passed any number of times before."""
    point = chance.choice(list(Point))
    per_call = 4 if point is Point.STATEMENT else 1
    return Death(point, chance.randint(1, 4 * callers * per_call))


async def until_dead(
    process: ForkServerProcess, death: Death, chance: random.Random, load: asyncio.Task[None]
) -> None:
    """Wait for the end of a life under `load`, or bring it about; raises when it comes in another
    way.
    """
    if death.point is Point.NEVER:
        await asyncio.sleep(chance.uniform(0.05, 0.25))
        process.kill()
    until = time.monotonic() + BOUND_S
    while process.exitcode is None:
        if load.done():
            load.result()
        assert time.monotonic() < until, f"nobody came by {death}"
        await asyncio.sleep(0.002)
    assert process.exitcode == -signal.SIGKILL, f"{process.exitcode} instead of {death}"
