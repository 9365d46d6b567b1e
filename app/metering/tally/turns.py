"""Turns: the workers of a host settle one after the other, and gather calls until it is theirs.

Workers that settle at once only wait for each other's locks, with batches that were closed too
early. A turn is a byte in a named pipe. Nothing hangs on it but speed, the stores' locks keep what
must be kept: who waits for too long goes without, so that a worker which died with the turn in hand
holds the others up once.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import structlog

PATIENCE_S = 0.1
_TURN = b"t"
_ALL_THERE_ARE = 64

log = structlog.get_logger("tally")


class Turns:
    """One worker's end of the pipe; belongs to one event loop."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        """Open the pipe at `path`, and make it where there is none; raises `OSError`."""
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # For both, or the last to close would leave readers at its end.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._patience_s = patience_s

    async def take(self) -> None:
        """Wait for the turn, as long as patience lasts; `give` it back either way."""
        if self._is_ours():
            return
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()

        def end_waiting() -> None:
            if not waiting.done():
                waiting.set_result(None)

        def try_again() -> None:
            if self._is_ours():
                loop.remove_reader(self._pipe)
                end_waiting()

        loop.add_reader(self._pipe, try_again)
        patience = loop.call_later(self._patience_s, end_waiting)
        try:
            await waiting
        finally:
            patience.cancel()
            loop.remove_reader(self._pipe)

    async def give(self) -> None:
        """Let another have it, before this one asks for it again."""
        os.write(self._pipe, _TURN)
        await asyncio.sleep(0)

    def close(self) -> None:
        """Close this end."""
        os.close(self._pipe)

    def _is_ours(self) -> bool:
        """Whether the turn was there. Those who went without give one back too: take them all."""
        try:
            return bool(os.read(self._pipe, _ALL_THERE_ARE))
        except BlockingIOError:
            return False


def open_turns(path: Path) -> Turns | None:
    """The turns of the workers that share `path`; None where they must do without."""
    try:
        return Turns(path)
    except OSError as error:
        log.warning("workers settle without turns, and slower", error=str(error))
        return None
