"""A line between us and somebody else: a TCP proxy whose weather a test makes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from app.sandbox.threads import HOST
from tests.live import free_port

LATENCY_S = 0.05
SLICE = 7


class Weather(StrEnum):
    """What happens to the bytes on a line."""

    FAIR = "they pass"
    SLOW = "they come late"
    SLICED = "they come in pieces of seven"
    RESET = "every connection is reset"
    SILENT = "nothing passes, nobody says so"
    HALF_OPEN = "the other side is gone, nobody says so"
    UNANSWERED = "what is asked arrives, the connection breaks before its answer"


class Line:
    """Carries bytes from a port of this machine to `target`, a port or the path of a socket."""

    def __init__(self, target: int | str) -> None:
        self.port = free_port()
        self._target = target
        self._weather = Weather.FAIR
        self._changed = asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()

    @property
    def connections(self) -> int:
        """How many connections are open from our side."""
        return len(self._carrying)

    def turns(self, weather: Weather) -> None:
        """Change the weather, now."""
        asyncio.run_coroutine_threadsafe(self._turn(weather), self._loop).result(5)

    def strand(self) -> None:
        """Let nothing pass any more on what is connected now; what connects later is fine."""
        asyncio.run_coroutine_threadsafe(self._strand(), self._loop).result(5)

    async def _strand(self) -> None:
        self._stranded |= self._ends

    async def _turn(self, weather: Weather) -> None:
        was, self._weather = self._weather, weather
        self._changed.set()
        self._changed = asyncio.Event()
        # What was silent, or lost an end, does not come to life again.
        if weather is Weather.RESET or was in {Weather.SILENT, Weather.HALF_OPEN}:
            for end in list(self._ends):
                _reset(end)

    async def _carry(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        self._ends.add(back)
        ends = [back]
        try:
            if self._weather is Weather.RESET:
                return
            if isinstance(self._target, int):
                theirs, there = await asyncio.open_connection(HOST, self._target)
            else:
                theirs, there = await asyncio.open_unix_connection(self._target)
            self._ends.add(there)
            ends.append(there)
            await asyncio.gather(
                self._pass(ours, there, answers=False), self._pass(theirs, back, answers=True)
            )
        except (OSError, EOFError):
            pass
        finally:
            for end in ends:
                self._ends.discard(end)
                _reset(end)
            self._carrying.discard(task)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        """Carry bytes one way; raises at the end of either side."""
        while data := await source.read(65_536):
            while self._weather in {Weather.SILENT, Weather.HALF_OPEN} or sink in self._stranded:
                await self._changed.wait()
            if self._weather is Weather.UNANSWERED and answers:
                raise EOFError
            if self._weather is Weather.SLOW:
                await asyncio.sleep(LATENCY_S)
            step = SLICE if self._weather is Weather.SLICED else len(data)
            for start in range(0, len(data), step):
                sink.write(data[start : start + step])
                await sink.drain()
                await asyncio.sleep(0)
        raise EOFError

    def run(self, started: threading.Event) -> None:
        """Carry until the loop is stopped."""
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, HOST, self.port))
        started.set()
        self._loop.run_forever()
        server.close()
        for task in self._carrying:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._carrying, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        """Tear the line down."""
        self._loop.call_soon_threadsafe(self._loop.stop)


def _reset(end: asyncio.StreamWriter) -> None:
    peer = end.get_extra_info("socket")
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


@contextmanager
def line_to(target: int | str) -> Iterator[Line]:
    """A line to `target` until the block ends."""
    line, started = Line(target), threading.Event()
    thread = threading.Thread(target=line.run, args=(started,), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield line
    finally:
        line.stop()
        thread.join(10)
