"""Streams: bodies too large to be held in memory, sent piece by piece once their call is settled.

A buyer who hangs up, or who takes nothing for `STALL_MAX_S`, has been served: the call was settled
before. When the *source* breaks off, the answer is cut short so that nobody takes it for whole, and
the caller of `send_pieces` is told, to take the call back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import structlog

from app.kernel.refusals import Outage

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STALL_MAX_S = 60.0

log = structlog.get_logger("gateway")


class BodyStream(Protocol):
    """A body that comes in pieces; whoever holds one closes it, sent or not.

    `size_bytes` is None where it is not known beforehand.
    """

    @property
    def size_bytes(self) -> int | None:
        """How long the whole body is."""
        ...

    def pieces(self) -> AsyncGenerator[bytes]:
        """The body, once; raises `Outage` when the source breaks off."""
        ...

    async def close(self) -> None:
        """Let go of the source; may be called twice."""
        ...


async def send_pieces(receive: Receive, send: Send, stream: BodyStream) -> bool:
    """Send the body behind headers that went out before; closes the stream.

    False: the source broke off. Then the answer stays unfinished, which the server tells its reader
    by dropping the connection.
    """
    hung_up = asyncio.create_task(_hang_up(receive))
    pieces = stream.pieces()
    try:
        while piece := await _next(pieces):
            if hung_up.done():
                return True
            async with asyncio.timeout(STALL_MAX_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        return True
    except _BrokenOff:
        return False
    finally:
        hung_up.cancel()
        await pieces.aclose()
        await stream.close()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True


class _BrokenOff(Exception):
    """The source gives no more, whatever the reason."""


async def _next(pieces: AsyncGenerator[bytes]) -> bytes:
    """The next piece, empty at the end; `TimeoutError` where the reader was too slow."""
    try:
        return await anext(pieces, b"")
    except TimeoutError:
        raise
    except Outage as error:
        raise _BrokenOff from error
    except Exception as error:  # a bug of ours is no use of the data either
        log.error("a body broke off", error=f"{type(error).__name__}: {error}"[:300])
        raise _BrokenOff from error


async def _hang_up(receive: Receive) -> None:
    """Return when the buyer is gone: the server swallows what is sent to one who is."""
    while (await receive())["type"] != "http.disconnect":
        pass
