"""Hosted files: a version's table as one file, made for the contract and then read from disk.

The frozen file itself is never handed out: a contract has its own columns and rows, and Parquet
carries the contract as a watermark. So each is made once, when it is first asked for, by an engine
of its own (a long copy must not keep queries waiting), and found on the shelf afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from app.kernel.refusals import RuleBroken
from app.metering.hosted.engine import QueryEngine
from app.metering.hosted.errors import FileAway, FileUnderWay, HostedBusy
from app.metering.hosted.formats import Format
from app.metering.hosted.making import FileRecipe, make_file
from app.metering.hosted.ranges import Part
from app.metering.hosted.shelf import Shelf, ShelfFile
from app.metering.hosted.store import HostedGrant

FOLDER = "made"
MAKE_MAX_S = 600.0
WAIT_MAX_S = 10.0
TURN_MAX_S = 3600.0
# Files of one version that may wait to be made: its contracts do not keep others out.
UNDER_WAY_MAX = 4
# A version is frozen: what could not be made of it is not tried again for whoever asks.
REFUSED_S = 3600.0
REFUSED_MAX = 1000
# Small enough that only who takes less than a kilobyte a second is left (`streams.STALL_MAX_S`).
PIECE_BYTES = 65_536
FILE_FORMATS = (Format.CSV, Format.PARQUET)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of an open file, to be sent: see `streams.BodyStream`."""

    opened: ShelfFile
    part: Part

    @property
    def size_bytes(self) -> int:
        """How long the part is."""
        return self.part.length

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Its bytes; raises `FileAway` when the disk gives fewer than there should be."""
        at = self.part.first
        while at < self.part.end:
            wanted = min(PIECE_BYTES, self.part.end - at)
            piece = await asyncio.to_thread(self._read, at, wanted)
            if not piece:
                raise FileAway("The file cannot be read to its end.")
            at += len(piece)
            yield piece

    async def close(self) -> None:
        """Close the file."""
        self.opened.file.close()

    def _read(self, at: int, wanted: int) -> bytes:
        file = self.opened.file
        try:
            file.seek(at)
            return file.read(wanted)
        except (OSError, ValueError):  # ValueError: closed under our hands
            return b""


class FileStore:
    """Finds or makes the files of contracts over the tables below `root`, from one event loop."""

    def __init__(self, root: Path) -> None:
        self._engine = QueryEngine(root, MAKE_MAX_S, threads=1, wait_s=TURN_MAX_S)
        self._shelf = Shelf(self._engine.root / FOLDER)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._versions: Counter[str] = Counter()
        self._refused: dict[str, tuple[RuleBroken, float]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a file is being made."""
        return bool(self._under_way)

    async def open(self, grant: HostedGrant, form: Format) -> ShelfFile:
        """The contract's file, open; made first if need be.

        Fails with `FileUnderWay` when that takes longer than a caller should wait, with `FileAway`
        or `HostedBusy`; refuses with `AnswerTooLarge` or `QueryTooSlow`.
        """
        key = _key(grant, form)
        for _ in range(2):
            if found := await asyncio.to_thread(self._shelf.open, key):
                return found
            await self._made(key, grant, form)
        raise FileAway("The data cannot be read at the moment.")

    def close(self) -> None:
        """Stop making."""
        self._engine.close()

    async def _made(self, key: str, grant: HostedGrant, form: Format) -> None:
        """Wait for the one making of this file; it goes on when we stop waiting."""
        task = self._under_way.get(key) or self._begin(key, grant, form)
        try:
            async with asyncio.timeout(WAIT_MAX_S):
                await asyncio.shield(task)
        except TimeoutError:
            raise FileUnderWay(
                "The file is being made for your contract; ask again.", retry_after_s=10
            ) from None

    def _begin(self, key: str, grant: HostedGrant, form: Format) -> asyncio.Task[None]:
        refusal, until_s = self._refused.get(key, (None, 0.0))
        if refusal is not None and time.monotonic() < until_s:
            raise refusal.with_traceback(None)
        if self._versions[grant.version_id] >= UNDER_WAY_MAX:
            raise HostedBusy("Too many files of these data are being made; ask again.")
        task = asyncio.create_task(self._make(key, grant, form))
        self._under_way[key] = task
        self._versions[grant.version_id] += 1
        task.add_done_callback(partial(self._ended, key, grant.version_id))
        return task

    async def _make(self, key: str, grant: HostedGrant, form: Format) -> None:
        source = (self._engine.root / grant.path).resolve()
        if not (source.is_relative_to(self._engine.root) and source.is_file()):
            raise FileAway("The data cannot be read at the moment.")
        watermark = {"contract": grant.contract_id, "version": grant.version_id}
        recipe = FileRecipe(source, grant.columns, grant.row_filter, form, watermark)
        await self._engine.run(
            lambda connection: self._shelf.put(
                key, form.suffix, partial(make_file, connection, recipe)
            )
        )

    def _ended(self, key: str, version_id: str, task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        self._versions[version_id] -= 1
        if not self._versions[version_id]:
            del self._versions[version_id]
        if task.cancelled():
            return
        failure = task.exception()  # told to whoever waited; nobody may have
        if isinstance(failure, RuleBroken):
            if len(self._refused) >= REFUSED_MAX:
                self._refused.clear()
            self._refused[key] = (failure, time.monotonic() + REFUSED_S)


def file_names(grant: HostedGrant) -> dict[str, Format]:
    """The names that the version's table is offered by: the uploaded file's, in each format."""
    stem = PurePosixPath(grant.file_name).stem
    return {f"{stem}.{form.suffix}": form for form in FILE_FORMATS}


def _key(grant: HostedGrant, form: Format) -> str:
    """Names a file by all that it depends on; CSV has no watermark inside."""
    contract = grant.contract_id if form is Format.PARQUET else ""
    return hashlib.sha256(f"{grant.view} {form} {contract}".encode()).hexdigest()
