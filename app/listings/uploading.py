"""Uploading: from bytes on disk to a kept file, in a worker thread and outside of transactions.

Seconds of DuckDB's own threads without the GIL, so an upload can be answered with its rows and
columns at once. Nothing is written to a store before the file lies in its place.
"""

from __future__ import annotations

import threading
from pathlib import Path

from app.kernel.ids import new_id
from app.kernel.refusals import Outage
from app.listings.attaching import KeptFile
from app.listings.datafiles.converting import convert
from app.listings.datafiles.formats import clean_name, format_of
from app.listings.datafiles.keeping import keep_file
from app.listings.datafiles.receiving import Received

AT_ONCE = 2
WAIT_MAX_S = 30.0

_slots = threading.BoundedSemaphore(AT_ONCE)


def keep_upload(received: Received, folder: Path, files_dir: Path) -> KeptFile:
    """Convert what was received and put it in its place.

    Refuses with `FileRefused` or `UnsupportedMediaType`; an `Outage` when too many convert.
    """
    source_format = format_of(received.media_type, received.name)
    if not _slots.acquire(timeout=WAIT_MAX_S):
        raise Outage("Too many files are being read; try again.", retry_after_s=30)
    try:
        table = convert(received.path, source_format, folder / "table.parquet")
    finally:
        _slots.release()
    file_id = new_id("fil")
    return KeptFile(
        file_id=file_id,
        name=clean_name(received.name, source_format),
        source_format=source_format,
        table=table,
        path=keep_file(files_dir, table.path, table.parquet_sha256, file_id),
    )
