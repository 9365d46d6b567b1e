"""Spooling: large answers pass through a file on disk, not through memory.

The upstream is read as fast as it gives, whatever its reader does: a slow buyer holds no connection
of the provider's, and cannot make an upstream give up. The file has no name: when we end, even by a
kill, the system takes the space back, and nothing is left to sweep.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Collection
from pathlib import Path
from typing import IO, NamedTuple

from app.kernel.refusals import Outage
from app.metering.upstream.answers import Rest
from app.metering.upstream.errors import UpstreamBusy

# What the answers that are under way in one process may take of the disk, and what one
# organisation's may, as who gives or as who takes them: nobody keeps the others out.
ROOM_BYTES = 4_000_000_000
SHARE_BYTES = 1_000_000_000
PIECE_BYTES = 2**18
# Whoever takes an answer more slowly than this gets no more of it: it holds room on our disk.
READER_MIN_BYTES_S = 20_000
READER_GRACE_S = 60.0


class _Place(NamedTuple):
    """So much of the room, for one answer."""

    size_bytes: int
    holders: frozenset[str]


class SpoolRoom:
    """Disk space for answers that are passing through, below `folder`."""

    def __init__(
        self, folder: Path, room_bytes: int = ROOM_BYTES, share_bytes: int = SHARE_BYTES
    ) -> None:
        self._folder = folder
        self._left_bytes = room_bytes
        self._share_bytes = share_bytes
        self._held_bytes: Counter[str] = Counter()

    async def take(
        self, begun: bytes, rest: Rest, max_bytes: int, holders: Collection[str] = ()
    ) -> Spool:
        """A spool of `begun` and all of `rest`, at most `max_bytes`, which is filling; it is of the
        share of each of `holders`.

        Fails with `UpstreamBusy` when there is no room, and with `Outage` when the disk gives none.
        """
        needed = max_bytes if rest.size_bytes is None else rest.size_bytes
        place = _Place(needed, frozenset(holders))
        try:
            self._occupy(place)
            try:
                file = await asyncio.to_thread(self._new_file)
            except BaseException:
                self.give_back(place)
                raise
        except BaseException:
            await rest.close()
            raise
        return Spool(self, file, place, begun, rest)

    def give_back(self, place: _Place) -> None:
        """The spool that took this place is gone."""
        self._left_bytes += place.size_bytes
        for holder in place.holders:
            self._held_bytes[holder] -= place.size_bytes
            if not self._held_bytes[holder]:
                del self._held_bytes[holder]

    def _occupy(self, place: _Place) -> None:
        """Take the place, before anything is awaited that lets others take it too."""
        held = max((self._held_bytes[holder] for holder in place.holders), default=0)
        if place.size_bytes > min(self._left_bytes, self._share_bytes - held):
            raise UpstreamBusy
        self._left_bytes -= place.size_bytes
        self._held_bytes.update(dict.fromkeys(place.holders, place.size_bytes))

    def _new_file(self) -> IO[bytes]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self._folder, buffering=0)
        except OSError as error:
            raise _disk_away() from error


class Spool:
    """A body on its way through the disk; sent as a `streams.BodyStream`."""

    def __init__(
        self, room: SpoolRoom, file: IO[bytes], place: _Place, begun: bytes, rest: Rest
    ) -> None:
        self._room = room
        self._file = file
        self._place = place
        self._rest = rest
        self._here_bytes = 0
        self._size_bytes: int | None = None
        self._failure: Outage | None = None
        self._grown = asyncio.Event()
        self._closed = False
        # A thread that writes or reads is not stopped by a cancelled task: the file waits for it.
        self._using_file = threading.Lock()
        self._filling = asyncio.create_task(self._fill(begun))

    @property
    def size_bytes(self) -> int | None:
        """How long the body is, as it was told or once it is whole."""
        return self._rest.size_bytes if self._size_bytes is None else self._size_bytes

    async def whole(self) -> int:
        """Wait until all of the body is here; how long it is. Raises what it broke off with."""
        await asyncio.shield(self._filling)
        if self._failure is not None:
            raise self._failure
        self._size_bytes = self._here_bytes
        return self._size_bytes

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it comes; raises what it breaks off with, and `TimeoutError` when its reader
        is too slow.
        """
        at, taking_s = 0, 0.0
        while True:
            self._grown.clear()
            while at < self._here_bytes:
                size = min(PIECE_BYTES, self._here_bytes - at)
                piece = await asyncio.to_thread(self._read, size, at)
                at += len(piece)
                given_at_s = time.monotonic()
                yield piece
                taking_s += time.monotonic() - given_at_s
                if taking_s > READER_GRACE_S + at / READER_MIN_BYTES_S:
                    raise TimeoutError
            if not self._filling.done():
                await self._grown.wait()
            elif self._failure is not None:
                raise self._failure
            elif at == self._here_bytes:
                self._filling.result()
                return

    async def close(self) -> None:
        """Drop the connection if it is still open, and the file."""
        if self._closed:
            return
        self._closed = True
        self._filling.cancel()
        try:
            await asyncio.wait([self._filling])
            await self._rest.close()
            await asyncio.to_thread(self._close_file)
        finally:  # room that is not given back would be lost for as long as we live
            self._room.give_back(self._place)

    async def _fill(self, begun: bytes) -> None:
        try:
            piece = begun
            while piece:
                await asyncio.to_thread(self._write, piece)
                self._here_bytes += len(piece)
                self._grown.set()
                piece = await self._rest.piece()
        except Outage as failure:
            self._failure = failure
        finally:
            await self._rest.close()
            self._grown.set()

    def _write(self, piece: bytes) -> None:
        try:
            with self._using_file:
                self._file.seek(self._here_bytes)
                while piece:
                    piece = piece[self._file.write(piece) :]
        except (OSError, ValueError) as error:  # ValueError: closed under our hands
            raise _disk_away() from error

    def _read(self, size: int, at: int) -> bytes:
        try:
            with self._using_file:
                self._file.seek(at)
                piece = self._file.read(size)
        except (OSError, ValueError) as error:
            raise _disk_away() from error
        if not piece:
            raise _disk_away()
        return piece

    def _close_file(self) -> None:
        with self._using_file:
            self._file.close()


def _disk_away() -> Outage:
    return Outage("There is no room for the provider's answer; the call is not billed.")
