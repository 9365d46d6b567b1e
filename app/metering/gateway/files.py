"""Files: the answer to a request for a contract's file, and what of it counts.

What counts: a GET that is answered with bytes of the file, whole (200) or a part (206). Per call
it is one unit each; per byte the bytes of the part; per row every row that the part touches, one
that is cut in both its parts. The list of files, HEAD, 304, 412 and 416 give no data and do not
count. The units are known before the first byte goes out: they are settled first, and a buyer who
hangs up after that has been served.
"""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import unquote_to_bytes

import msgspec

from app.kernel.refusals import RowNotFound
from app.metering.gateway.admission import OpenGrant
from app.metering.gateway.fetched import FOREIGN_CONTENT, Fetched, Headers, units_of
from app.metering.gateway.requests import DataRequest
from app.metering.grants import CompiledGrant
from app.metering.hosted import HostedGrant
from app.metering.hosted.files import FilePart, FileStore, file_names
from app.metering.hosted.formats import Format
from app.metering.hosted.ranges import asked_part, conditional_headers
from app.metering.hosted.shelf import ShelfFile


class FileDesk:
    """Gives out the files of contracts over the tables below `root`."""

    def __init__(self, root: Path) -> None:
        self._store = FileStore(root)

    async def answer(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        """The file that the request names, the part it wants; without a name, the list of files.

        Refuses with `RowNotFound`, `Malformed`, and as `FileStore.open` and `asked_part` do.
        """
        if opened.grant.file is None:
            raise RowNotFound("This listing has no files here.")
        if not request.rest:
            return _list_of(opened.hosted, request.method)
        form = _format_of(opened.hosted, request.rest)
        conditions = conditional_headers(request.headers)
        found = await self._store.open(opened.hosted, form)
        fetched = None
        try:
            headers = _headers(opened.hosted, form, found)
            fetched = _part_of(opened.grant, request.method, found, headers, conditions)
        finally:
            if fetched is None or not fetched.counts:
                found.file.close()
        return fetched

    def close(self) -> None:
        """Let go of everything."""
        self._store.close()


def _part_of(
    grant: CompiledGrant,
    method: str,
    found: ShelfFile,
    headers: Headers,
    conditions: dict[bytes, bytes],
) -> Fetched:
    """What the caller wants of the file, by method and conditional headers."""
    if method == "HEAD":
        conditions.pop(b"range", None)  # has a meaning for GET only (RFC 9110 §14.2)
    part = asked_part(conditions, f'"{found.sha256}"', found.size)
    if part is None:
        return Fetched(304, headers[:2] + FOREIGN_CONTENT, b"", 0, counts=False)
    if method == "HEAD":
        length = (b"content-length", b"%d" % found.size)
        return Fetched(200, (*headers, length), b"", 0, counts=False)
    # The statuses that a plan bills are an upstream's: 206 is as good as 200.
    units = units_of(grant, 200, part.rows_of(found.rows), part.length)
    body = FilePart(found, part)
    if not part.is_range:
        return Fetched(200, headers, body, units, counts=True)
    content_range = (b"content-range", part.content_range())
    return Fetched(206, (*headers, content_range), body, units, counts=True)


def _format_of(grant: HostedGrant, rest: bytes) -> Format:
    """The format of the file called `/name`, as it stands in the URL."""
    names = file_names(grant)
    form = names.get(unquote_to_bytes(rest[1:]).decode("utf-8", "replace"))
    if form is None:
        raise RowNotFound("There is no file of this name.", files=list(names))
    return form


def _list_of(grant: HostedGrant, method: str) -> Fetched:
    columns = [column.name for column in grant.columns]
    items = [
        {"name": name, "media_type": form.media_type, "columns": columns}
        for name, form in file_names(grant).items()
    ]
    body = msgspec.json.encode({"items": items})
    headers: Headers = (
        (b"content-type", Format.JSON.content_type),
        (b"content-disposition", b"attachment"),
        *FOREIGN_CONTENT,
    )
    return Fetched(200, headers, b"" if method == "HEAD" else body, 0, counts=False)


def _headers(grant: HostedGrant, form: Format, found: ShelfFile) -> Headers:
    """What describes the whole file, its entity tag and digest first."""
    digest = base64.b64encode(bytes.fromhex(found.sha256))
    # The contract stands in the name: the one watermark that CSV has a place for.
    name = f'attachment; filename="{grant.file_stem}.{form.suffix}"'.encode("ascii")
    return (
        (b"etag", b'"%s"' % found.sha256.encode("ascii")),
        (b"repr-digest", b"sha-256=:%s:" % digest),
        (b"accept-ranges", b"bytes"),
        (b"content-type", form.content_type),
        (b"content-disposition", name),
        *FOREIGN_CONTENT,
    )
