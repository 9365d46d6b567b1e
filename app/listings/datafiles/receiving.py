"""Receiving: an upload's body goes to disk as it comes, raw or as one part of a form."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import anyio
from multipart import (  # type: ignore[import-untyped]  # has annotations, but no py.typed
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from app.http.decoding import clean_text
from app.http.problems import TooLarge
from app.kernel.refusals import Malformed, Outage

Receive = Callable[[], Awaitable[Any]]

BUFFER_BYTES = 1 << 20
# Full, our share of it is used up, or a file may not grow any more.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Received:
    """A body on disk, and what its sender says of it."""

    path: Path
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class UploadHeaders:
    """The headers of a request that say what its body is."""

    content_type: str
    content_disposition: str
    content_length: int | None


async def receive_upload(
    receive: Receive, headers: UploadHeaders, folder: Path, max_bytes: int
) -> Received:
    """Write the uploaded file into `folder`; raises `TooLarge`, `Malformed` or `Outage`."""
    if headers.content_length is not None and headers.content_length > max_bytes:
        raise _too_large(max_bytes)
    kind, options = parse_options_header(headers.content_type)
    path = folder / "upload"
    chunks = _bounded(_chunks(receive), max_bytes)
    try:
        if kind == "multipart/form-data":
            return await _from_form(chunks, options.get("boundary", ""), path)
        await _write(chunks, path)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise Outage("There is no room for the file; try again later.") from error
        raise
    return Received(path, headers.content_type, _stated_name(headers.content_disposition))


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes; one that breaks off is refused rather than taken for whole."""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Malformed("The upload broke off.")
        if body := message.get("body", b""):
            yield body
        more = message.get("more_body", False)


async def _bounded(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


async def _write(chunks: AsyncIterator[bytes], path: Path) -> None:
    buffer = bytearray()
    async with await anyio.open_file(path, "wb") as file:
        async for chunk in chunks:
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await file.write(bytes(buffer))
                buffer.clear()
        await file.write(bytes(buffer))


async def _from_form(chunks: AsyncIterator[bytes], boundary: str, path: Path) -> Received:
    """The one file of a form (RFC 7578); any other part is refused, not dropped."""
    parts: list[MultipartSegment] = []
    try:
        await _write(_file_part(chunks, boundary, parts), path)
    except MultipartError as error:
        raise Malformed("The form cannot be read (RFC 7578).") from error
    if not parts:
        raise Malformed("The form holds no file.")
    name = clean_text(parts[0].filename or "", path="filename")
    return Received(path, parts[0].content_type or "", name)


async def _file_part(
    chunks: AsyncIterator[bytes], boundary: str, parts: list[MultipartSegment]
) -> AsyncIterator[bytes]:
    with PushMultipartParser(boundary, strict=True) as parser:
        async for chunk in chunks:
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    if parts or event.filename is None:
                        raise Malformed("The form holds one file and nothing else.")
                    parts.append(event)
                elif event:
                    yield bytes(event)


def _stated_name(disposition: str) -> str:
    """The file name of a `Content-Disposition` header, in its `filename*` form too (RFC 6266)."""
    # HTTP hands headers over as Latin-1; clients that send a plain name mean UTF-8.
    with contextlib.suppress(UnicodeError):
        disposition = disposition.encode("latin-1").decode("utf-8")
    header = Message()
    header["Content-Disposition"] = disposition or "attachment"
    try:
        name = header.get_filename("")
    except (ValueError, LookupError) as error:  # a charset of its own, a part number of its own
        raise Malformed("The Content-Disposition cannot be read (RFC 6266).") from error
    return clean_text(name, path="filename")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge("The file is larger than this house takes.", max_bytes=max_bytes)
