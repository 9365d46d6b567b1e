"""A real server on a real port, in a thread: for browsers, webhooks and parallel load."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import urllib.request
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveServer:
    """Serves an ASGI application on loopback until it is stopped."""

    def __init__(self, app: Any, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._app = app
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> LiveServer:
        self._thread.start()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/openapi.json", timeout=5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise TimeoutError("the server did not start")

    def stop(self) -> None:
        self._ready.wait(10)
        self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._server = Server(
            self._app,
            port=self.port,
            interface=Interfaces.ASGI,
            websockets=False,
            log_enabled=False,
        )
        self._ready.set()
        self._loop.run_until_complete(self._server.serve())
