"""Keeping: files in their folder, named by content and row, put there whole or not at all.

A kept file is never changed. One without a row is harmless, and swept once it is a day old: since
a name is used for one row only, nobody can be about to need it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from app.kernel.clock import Clock

SWEEP_AGE_S = 24 * 3600


@contextmanager
def incoming_folder(files_dir: Path) -> Iterator[Path]:
    """A fresh folder for one upload, removed at the end with whatever is left in it."""
    folder = files_dir / "incoming" / uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep_file(files_dir: Path, draft: Path, sha256: str, file_id: str) -> str:
    """Move `draft` to its place and make that durable; the path below `files_dir`."""
    relative = f"{sha256[:2]}/{sha256}.{file_id}.parquet"
    place = files_dir / relative
    place.parent.mkdir(parents=True, exist_ok=True)
    _sync(draft)
    draft.replace(place)
    _sync(place.parent)
    return relative


def sweep_files(files_dir: Path, clock: Clock, is_known: Callable[[str], bool]) -> int:
    """Remove files over a day old that no row knows; how many."""
    before = clock.now().timestamp() - SWEEP_AGE_S
    removed = 0
    for path in sorted(files_dir.glob("??/*.parquet")):
        old = path.stat().st_mtime < before
        if old and not is_known(str(path.relative_to(files_dir))):
            path.unlink(missing_ok=True)
            removed += 1
    for folder in (files_dir / "incoming").glob("*"):
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
