"""The wire: bytes to a server and back, for clients that a library would not let be so rude."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from tests.metering.grant_documents import BUYER

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Heard:
    """An answer as it came; `body` ends early where the connection did."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def receipt(self) -> str | None:
        """The event that the call was counted by."""
        return self.headers.get("usage-receipt")


def request(path: str, verb: str = "GET", **headers: str) -> bytes:
    """A request of the buyer's, ready to be sent in whatever pieces."""
    told = {"host": "x", "authorization": f"Bearer {BUYER}", **headers}
    lines = [f"{verb} {path} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in told.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, verb: str = "GET", body_max_bytes: int | None = None) -> Heard:
        """The next answer; at most `body_max_bytes` of its body are taken off the line."""
        status, headers = self._head()
        while 100 <= status < 200:
            status, headers = self._head()
        bare = verb == "HEAD" or status == 304
        size = 0 if bare else int(headers["content-length"])
        wanted = size if body_max_bytes is None else min(size, body_max_bytes)
        return Heard(status, headers, self._file.read(wanted))

    def ask(self, path: str, verb: str = "GET", **headers: str) -> Heard:
        """One request and its answer; a busy machine may be asked again."""
        for _ in range(50):
            self.send(request(path, verb, **headers))
            heard = self.hear(verb)
            if heard.status != 503:
                break
            time.sleep(0.1)
        return heard

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        first = self._file.readline()
        if not first:
            raise ConnectionError("the server closed the connection")
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(first.split()[1]), headers
