"""Uploading: from bytes on disk to a kept file, in a worker thread and outside of transactions.

Seconds of DuckDB's own threads without the GIL, so an upload can be answered with its rows and
columns at once. Nothing is written to a store before the file lies in its place. Uploads wait for
their turn on the event loop: waiting in worker threads, they would keep everybody else's requests
out of these.
"""

from __future__ import annotations

from pathlib import Path

from anyio import CapacityLimiter, fail_after
from anyio.to_thread import run_sync

from app.kernel.ids import new_id
from app.kernel.refusals import Outage
from app.listings.attaching import KeptFile
from app.listings.datafiles.converting import convert
from app.listings.datafiles.formats import SourceFormat, clean_name, format_of
from app.listings.datafiles.keeping import keep_file
from app.listings.datafiles.receiving import Received

AT_ONCE = 2
WAIT_MAX_S = 30.0

_slots = CapacityLimiter(AT_ONCE)


async def keep_upload(received: Received, folder: Path, files_dir: Path) -> KeptFile:
    """Convert what was received and put it in its place.

    Refuses with `FileRefused` or `UnsupportedMediaType`; an `Outage` when too many convert.
    """
    source_format = format_of(received.media_type, received.name)
    turn = object()
    try:
        with fail_after(WAIT_MAX_S):
            await _slots.acquire_on_behalf_of(turn)
    except TimeoutError as error:
        raise Outage("Too many files are being read; try again.", retry_after_s=30) from error
    try:
        return await run_sync(_keep, received, source_format, folder, files_dir)
    finally:
        _slots.release_on_behalf_of(turn)


def _keep(
    received: Received, source_format: SourceFormat, folder: Path, files_dir: Path
) -> KeptFile:
    table = convert(received.path, source_format, folder / "table.parquet")
    file_id = new_id("fil")
    return KeptFile(
        file_id=file_id,
        name=clean_name(received.name, source_format),
        source_format=source_format,
        table=table,
        path=keep_file(files_dir, table.path, table.parquet_sha256, file_id),
    )
