"""The export of use over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency, Provide
from litestar.response import Stream

from app.db.installation import Installation
from app.http.documented import Documented, Sample
from app.http.guarding import needs
from app.kernel.actor import Actor
from app.kernel.clock import DayOutOfRange
from app.kernel.refusals import Outage
from app.metering.errors import ExportTooLarge
from app.metering.hosted.errors import NotAcceptable
from app.metering.hosted.formats import Format, choose_format, csv_header
from app.metering.usage.exporting import (
    COLUMNS,
    Rows,
    csv_pieces,
    exported_rows,
    open_parquet,
    pieces_of,
)
from app.metering.usage.parameters import usage_within
from app.metering.usage.sums import UsageFilter

FORMATS = (Format.CSV, Format.PARQUET)
# Litestar adds the charset of a text by itself.
MEDIA_TYPES = {Format.CSV: "text/csv; header=present", Format.PARQUET: Format.PARQUET.media_type}
AT_ONCE = 2
EXPORT = Documented(
    gives={
        Format.CSV.media_type: Sample(csv_header(COLUMNS).decode(), str),
        Format.PARQUET.media_type: Sample("the bytes of a Parquet file"),
    },
    answer="The file: a line for each settled call.",
    refuses=(DayOutOfRange, NotAcceptable, ExportTooLarge),
    headers={"Content-Disposition": "The name of the file."},
)

# Calls are served in the same process: what is read out must not crowd them.
_reading = threading.BoundedSemaphore(AT_ONCE)
_writing = threading.BoundedSemaphore(AT_ONCE)


@get(
    "/api/v1/usage/export",
    sync_to_thread=True,
    guards=[needs("usage:read")],
    tags=["Usage"],
    dependencies={"within": Provide(usage_within, sync_to_thread=False)},
    opt={"documented": EXPORT},
)
def export_usage(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    within: NamedDependency[UsageFilter],
) -> Response[Any]:
    """Every settled call as a file, by grant and number: `text/csv`, or
    `application/vnd.apache.parquet` by Accept.

    It holds what was there when it began. The sum of `net_units` is what the counters and the sums
    of use say: a void takes its units back. In CSV a text that a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    form = choose_format(request.headers.get("accept", "").encode("latin-1"), FORMATS)
    batches = _one_by_one(exported_rows(installation, actor, within))
    if form is Format.CSV:
        pieces = csv_pieces(batches)
    else:
        with _turn():
            pieces = pieces_of(open_parquet(batches, installation.settings.home))
    name = f'attachment; filename="usage.{form.suffix}"'
    return Stream(
        pieces,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": name},
    )


def _one_by_one(batches: Iterator[Rows]) -> Iterator[Rows]:
    """The batches, of which a process reads few at a time; who takes them slowly waits alone."""
    while True:
        with _reading:
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _turn() -> Iterator[None]:
    """A file of rows is made on disk: only few at a time."""
    if not _writing.acquire(blocking=False):
        raise Outage("Other exports are being made; try again.", retry_after_s=5)
    try:
        yield
    finally:
        _writing.release()


ROUTERS = (export_usage,)
