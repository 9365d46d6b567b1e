"""A disk that loses its power: what was not synced may be gone, or half there.

A VFS for SQLite (apsw lets one be written in Python) over the system's own. It keeps what each sync
has made lasting apart from the writes since then. After a power loss each of those writes is there,
or not, or some of its sectors are, independently: a disk may write in any order.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw

SECTOR = 512
_numbers = itertools.count(1)


class Kept:
    """One file: what lasts, and the writes since the last sync in their order."""

    def __init__(self, content: bytes) -> None:
        self.lasting = bytearray(content)
        self.pending: list[tuple[int, bytes | None]] = []

    def sync(self) -> None:
        """Make everything last."""
        self.lasting = self.after(self.pending)
        self.pending = []

    def after(self, writes: Sequence[tuple[int, bytes | None]]) -> bytearray:
        """The file after `writes`; one without data cuts it at its place."""
        image = bytearray(self.lasting)
        for place, data in writes:
            if data is None:
                del image[place:]
                continue
            image.extend(bytes(max(0, place - len(image))))
            image[place : place + len(data)] = data
        return image

    def survivors(self, chance: random.Random) -> list[tuple[int, bytes | None]]:
        """Which of the pending writes, or of their sectors, have reached the disk."""
        found: list[tuple[int, bytes | None]] = []
        for place, data in self.pending:
            if data is None or chance.random() < 0.5:
                found += [(place, data)] if chance.random() < 0.5 else []
                continue
            for start in range(0, len(data), SECTOR):
                if chance.random() < 0.5:
                    found.append((place + start, data[start : start + SECTOR]))
        return found


class Disk(apsw.VFS):
    """A disk with `life` writes and syncs in it; then its power is gone for good."""

    def __init__(self, life: int) -> None:
        self.name = f"disk-{next(_numbers)}"
        self.files: dict[str, Kept] = {}
        self._left = life
        super().__init__(self.name, "")

    def works(self) -> None:
        """Count one write or sync; raises for each after the last."""
        self._left -= 1
        if self._left < 0:
            raise apsw.IOError("the power is gone")

    def works_again(self) -> None:
        """Let those close their files who write to it still; what it had lost stays lost."""
        self._left = sys.maxsize

    def xOpen(self, name: Any, flags: list[int]) -> DiskFile:
        """Open a file, which lasts as it is found."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path not in self.files and Path(path).exists():
            self.files[path] = Kept(Path(path).read_bytes())
        return DiskFile(name, flags, self, self.files.setdefault(path, Kept(b"")))

    def lose_power(self, folder: Path, chance: random.Random) -> None:
        """Write into `folder` what is on the disk after its power has come back."""
        for path, kept in self.files.items():
            image = kept.after(kept.survivors(chance))
            if image:
                (folder / Path(path).name).write_bytes(image)


class DiskFile(apsw.VFSFile):
    """An open file: read from the system's, its writes noted before they go there."""

    def __init__(self, name: Any, flags: list[int], disk: Disk, kept: Kept) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._kept = kept

    def xWrite(self, data: bytes, offset: int) -> None:
        """Write."""
        self._disk.works()
        self._kept.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        """Cut."""
        self._disk.works()
        self._kept.pending.append((newsize, None))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        """Make everything last; the system need not wait, for it keeps its power."""
        self._disk.works()
        self._kept.sync()


class Connection:
    """An apsw connection as the driver knows one of `sqlite3`."""

    def __init__(self, path: str, disk: Disk, pragmas: dict[str, str]) -> None:
        self._real = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, disk.name)
        self._pragmas = pragmas

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._real.in_transaction

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Run a statement; `pragmas` are what is run instead of some."""
        with _as_sqlite3():
            return self._real.execute(self._pragmas.get(sql, sql), parameters)

    def executemany(self, sql: str, rows: Any) -> Any:
        """Run a statement for each row."""
        with _as_sqlite3():
            return self._real.executemany(sql, rows)

    def close(self) -> None:
        """Close."""
        self._real.close()


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.ConstraintError as error:
        raise sqlite3.IntegrityError(str(error)) from error
    except apsw.Error as error:
        told = sqlite3.OperationalError(str(error))
        told.sqlite_errorcode = getattr(error, "extendedresult", sqlite3.SQLITE_IOERR)
        raise told from error


@contextmanager
def stored_on(disk: Disk, pragmas: dict[str, str] | None = None) -> Iterator[None]:
    """Have the tally's own connections of the block open their files on `disk`."""
    opened: list[Connection] = []

    def connect(database: str, **_options: Any) -> Connection:
        path = database.removeprefix("file:").partition("?")[0]
        opened.append(Connection(path, disk, pragmas or {}))
        return opened[-1]

    try:
        with patch.object(sqlite3, "connect", connect):
            yield
    finally:
        disk.works_again()
        for connection in opened:
            connection.close()
        disk.unregister()
