"""Small servers: aiohttp applications in a thread of a test, or as a process of the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

T = TypeVar("T")

HOST = "127.0.0.1"
DIE_WITH_PARENT = "ZHIGU_DIE_WITH_PARENT"
STOP_WITHIN_S = 5.0


@dataclass(frozen=True, eq=False)
class ThreadServer:
    """A server in a thread of this process."""

    port: int
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def run(self, what: Callable[[], T]) -> T:
        """What `what()` returns on the server's own loop, between two requests."""
        done: Future[T] = Future()

        def work() -> None:
            try:
                done.set_result(what())
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                done.set_exception(error)

        self.loop.call_soon_threadsafe(work)
        return done.result(STOP_WITHIN_S)


@contextmanager
def serve_in_thread(make_app: Callable[[], web.Application]) -> Iterator[ThreadServer]:
    """Serve the application that `make_app` makes on a free port, until the block ends."""
    started: Future[ThreadServer] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(make_app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            port = runner.addresses[0][1]
            started.set_result(ThreadServer(port, asyncio.get_running_loop()))
            await stop.wait()
        finally:
            await runner.cleanup()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=work, name="sandbox server", daemon=True)
    thread.start()
    server = started.result()
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(stop.set)
        thread.join(STOP_WITHIN_S)


def serve_process(app: web.Application, port: int) -> None:
    """Serve `app` until SIGTERM, or until the parent is gone when it asked for that."""
    if os.environ.get(DIE_WITH_PARENT):
        app.cleanup_ctx.append(_watch_parent)
    web.run_app(app, host=HOST, port=port, print=None, access_log=None, shutdown_timeout=1.0)


async def _watch_parent(_: web.Application) -> AsyncIterator[None]:
    parent = os.getppid()

    async def watch() -> None:
        while os.getppid() == parent:
            await asyncio.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    task = asyncio.create_task(watch())
    yield
    task.cancel()
