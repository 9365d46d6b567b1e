"""Bodies: what a buyer sends along with a call, whole, bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.http.problems import TooLarge
from app.kernel.refusals import Malformed
from app.metering.errors import BodyTooSlow
from app.metering.gateway.streams import Receive

READ_MAX_S = 30.0


async def read_body(
    receive: Receive, headers: Sequence[tuple[bytes, bytes]], max_bytes: int
) -> bytes:
    """The body of a request.

    Refuses with `TooLarge`, before reading where the length is told, and with `BodyTooSlow`.
    """
    told = next((value for name, value in headers if name == b"content-length"), b"")
    if told.isdigit() and int(told[:20]) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(READ_MAX_S):
            return await _read(receive, max_bytes)
    except TimeoutError as error:
        raise BodyTooSlow("The body did not come in time.", read_max_s=READ_MAX_S) from error


async def _read(receive: Receive, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The body ended early.")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge("The body of a call is at most so large.", body_max_bytes=max_bytes)
