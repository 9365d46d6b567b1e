"""The shelf: files made for contracts, on disk, shared by all processes of a host.

A file lies at `{key}/{rows}-{sha256}.{suffix}`. It is put there whole or not at all, and never
changed. What nobody has asked for in a week goes, and what was asked for longest ago goes first
when there is too much; it is made again when somebody asks. A file that is being read stays
readable.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from uuid import uuid4

from app.metering.hosted.errors import FileAway
from app.metering.hosted.making import Made

SHELF_MAX_BYTES = 20_000_000_000
UNUSED_MAX_S = 7 * 24 * 3600
DRAFT_MAX_S = 24 * 3600
_DRAFT = "draft-"


@dataclass(frozen=True, slots=True)
class ShelfFile:
    """An open file of the shelf; whoever gets one closes it."""

    file: FileIO
    size: int
    rows: int
    sha256: str


class Shelf:
    """The files below `folder`; its methods touch the disk and belong in a thread."""

    def __init__(self, folder: Path, max_bytes: int = SHELF_MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def open(self, key: str) -> ShelfFile | None:
        """The file under `key`, marked as used now; None when it is not here."""
        try:
            (path,) = (self._folder / key).iterdir()
            file = FileIO(path)
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:  # such as too many open files
            raise FileAway("The data cannot be read at the moment.") from error
        with contextlib.suppress(OSError):  # a disk that takes nothing may still be read
            os.utime(file.fileno())
        rows, _, sha256 = path.stem.partition("-")
        return ShelfFile(file, os.fstat(file.fileno()).st_size, int(rows), sha256)

    def put(self, key: str, suffix: str, make: Callable[[Path], Made]) -> None:
        """Have `make` write the file that belongs under `key`; another process may be faster.

        Raises `FileAway` when the disk takes nothing more, and whatever `make` raises.
        """
        try:
            self._put(key, suffix, make)
            self._tidy(key)
        except OSError as error:
            raise FileAway("The data cannot be read at the moment.") from error

    def _put(self, key: str, suffix: str, make: Callable[[Path], Made]) -> None:
        draft = self._folder / f"{_DRAFT}{uuid4().hex}"
        draft.mkdir(parents=True)
        try:
            made = make(draft / "file")
            (draft / "file").rename(draft / f"{made.rows}-{made.sha256}.{suffix}")
            try:
                draft.rename(self._folder / key)
            except OSError:
                if not (self._folder / key).is_dir():
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _tidy(self, kept: str) -> None:
        """Remove what is long unused, and more while there is too much; never what is `kept`.

        It was put here just now, and so tells what time it is by the file system's clock.
        """
        now_s = (self._folder / kept).stat().st_mtime
        used = []
        for folder in self._folder.iterdir():
            try:
                if folder.name.startswith(_DRAFT):
                    if now_s - folder.stat().st_mtime > DRAFT_MAX_S:
                        shutil.rmtree(folder, ignore_errors=True)
                    continue
                status = next(folder.iterdir()).stat()
            except (FileNotFoundError, StopIteration):  # another process tidies too
                continue
            used.append((status.st_mtime, status.st_size, folder))
        total = sum(size for _, size, _ in used)
        for used_at_s, size, folder in sorted(used):
            if now_s - used_at_s <= UNUSED_MAX_S and total <= self._max_bytes:
                break
            if folder.name != kept:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
