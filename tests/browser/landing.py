"""The client's page on loopback: where a browser arrives after sign-in."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PAGE = b'<!doctype html><html lang="en"><title>Arrived</title><link rel="icon" href="data:,">'


class Landing:
    """A server for one page; `arrivals` are the paths with which browsers came."""

    def __init__(self) -> None:
        arrivals: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                arrivals.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(PAGE)

            def log_message(self, *args: object) -> None:
                """Nothing: pytest's output is for tests."""

        self.arrivals = arrivals
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/back?tenant=1"

    def __enter__(self) -> Landing:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
