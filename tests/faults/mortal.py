"""A gateway in a process of its own that ends by kill -9 at a named point of a call.

The points are the edges of the parts, wrapped from outside: the ASGI application, the driver, the
SQLite connection. A life starts by a fork from a process that has imported everything already, so
that hundreds of them cost what a few whole servers do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from app.db.installation import open_installation
from app.http.logs import configure_logs
from app.kernel.clock import SystemClock
from app.kernel.sealing import MasterKeys
from app.metering.gateway.gateway import make_gateway
from app.metering.tally import tally
from app.metering.tally.calls import Batch, Settled
from app.settings import Settings
from tests.metering.gateway_client import verify

KEYS = MasterKeys("test", {"test": b"k" * 32})
MID_STATEMENT_S = 0.002

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Point(StrEnum):
    """Where a life ends."""

    ASKED = "before it is admitted"
    FETCHED = "after the upstream, before it is settled"
    STATEMENT = "during the batch's transaction"
    COMMITTED = "after the commit, before the answer"
    BODY = "in mid-body"
    NEVER = "by somebody else, at any moment"


@dataclass
class Death:
    """Ends this process when `point` is passed for the `countdown`-th time."""

    point: Point = Point.NEVER
    countdown: int = 1

    def is_next(self, point: Point) -> bool:
        """Whether passing `point` would be the end."""
        return point is self.point and self.countdown <= 1

    def passes(self, point: Point) -> None:
        """A call comes by `point`."""
        if point is self.point:
            self.countdown -= 1
            if self.countdown <= 0:
                die()


def die() -> None:
    """kill -9 of oneself."""
    os.kill(os.getpid(), signal.SIGKILL)


class MortalDriver:
    """A tally's driver that passes the points around a batch's transaction."""

    def __init__(self, real: tally.Driver, death: Death, *, postgres: bool) -> None:
        self._real = real
        self._death = death
        self._postgres = postgres

    async def begin(self) -> None:
        self._death.passes(Point.FETCHED)
        await self._real.begin()

    async def settle(self, batch: Batch) -> list[Settled]:
        if self._postgres and batch.calls:
            self._die_meanwhile()
        answers = await self._real.settle(batch)
        self._death.passes(Point.COMMITTED)
        return answers

    def _die_meanwhile(self) -> None:
        """The transaction is one statement, and inside another process: end while it is out."""
        if self._death.is_next(Point.STATEMENT):
            delay_s = MID_STATEMENT_S * os.urandom(1)[0] / 255
            asyncio.get_running_loop().call_later(delay_s, die)
        elif self._death.point is Point.STATEMENT:
            self._death.countdown -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def wrap_stores(death: Death, usage_url: str) -> None:
    """Have the tally of this process pass the points of its transactions."""
    really_connect, really_open = sqlite3.connect, tally.open_driver

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = really_connect(*arguments, **options)
        connection.set_trace_callback(lambda _statement: death.passes(Point.STATEMENT))
        return connection

    def open_driver(url: str) -> MortalDriver:
        return MortalDriver(really_open(url), death, postgres=url.startswith("postgres"))

    sqlite3.connect = connect  # type: ignore[assignment]
    tally.open_driver = open_driver  # type: ignore[assignment]


def wrap_send(send: Send, death: Death) -> Send:
    """`send`, but the last body of a life breaks off in the middle."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            if death.is_next(Point.BODY):
                half = message["body"][: len(message["body"]) // 2]
                await send({**message, "body": half, "more_body": True})
                await asyncio.sleep(0.005)
            death.passes(Point.BODY)
        await send(message)

    return wrapped


async def serve(settings: Settings, port: int, death: Death) -> None:
    """Serve the gateway on a real server until the end."""
    gateway = make_gateway(open_installation(settings, SystemClock(), KEYS), verify)
    await gateway.start()

    async def app(scope: Message, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("HTTP only")
        death.passes(Point.ASKED)
        await gateway(scope, receive, wrap_send(send, death))

    options: dict[str, Any] = {"interface": Interfaces.ASGINL, "websockets": False}
    await Server(app, port=port, log_enabled=False, **options).serve()


def live(settings: Settings, port: int, death: Death) -> None:
    """One life: what the forked process does."""
    configure_logs()
    wrap_stores(death, settings.usage_url)
    asyncio.run(serve(settings, port, death))
