"""Holding: large bodies that are in memory until their reader has taken them.

A small body is handed to the server whole. A large one would be kept there for as long as its
reader likes, so it is given out piece by piece, and has its place in a room until then: who reads
many slowly takes from his own share only.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from app.kernel.refusals import Outage
from app.metering.errors import RateLimited
from app.metering.gateway.fetched import Fetched
from app.metering.grants import CompiledGrant
from app.metering.rooms import NoRoom, Place, Room
from app.metering.upstream.spooling import READER_GRACE_S, READER_MIN_BYTES_S

PIECE_BYTES = 2**18
# What the large bodies that are being read may take of a process's memory, and one buyer's of it. A
# page that several read at once lies there once and is counted for each.
ROOM_BYTES = 512_000_000
BUYER_SHARE_BYTES = 128_000_000


class HeldBody:
    """A large body in memory. Who takes it too slowly gets no more of it."""

    def __init__(self, body: bytes, place: Place) -> None:
        self._body = body
        self._place = place

    @property
    def size_bytes(self) -> int | None:
        """How long it is."""
        return len(self._body)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body; raises `TimeoutError` when its reader is too slow."""
        began_at_s = time.monotonic()
        for at in range(0, len(self._body), PIECE_BYTES):
            if time.monotonic() - began_at_s > READER_GRACE_S + at / READER_MIN_BYTES_S:
                raise TimeoutError
            yield self._body[at : at + PIECE_BYTES]

    async def close(self) -> None:
        """Let go of the body and give its place back."""
        self._body = b""
        self._place.give_back()


class HoldingRoom:
    """Memory for the large bodies of one process; belongs to one event loop."""

    def __init__(
        self, room_bytes: int = ROOM_BYTES, buyer_share_bytes: int = BUYER_SHARE_BYTES
    ) -> None:
        self._room = Room(room_bytes)
        self._buyer_share_bytes = buyer_share_bytes

    def hold(self, grant: CompiledGrant, fetched: Fetched) -> Fetched:
        """The same, its body held in the room where it is large. Nothing was settled yet.

        Refuses with `RateLimited` where the buyer reads too much at once; fails with `Outage` where
        all buyers together do.
        """
        body = fetched.body
        if not isinstance(body, bytes) or len(body) <= PIECE_BYTES:
            return fetched
        place = self._room.place({grant.buyer_id: self._buyer_share_bytes})
        try:
            place.grow_to(len(body))
        except NoRoom as full:
            if full.holder is None:
                raise Outage("Too much data is being read at once; try again.") from None
            raise RateLimited(
                "Your organisation reads too many large answers at once; let some of them end.",
                headers={"retry-after": "1"},
                retry_after_s=1,
            ) from None
        return fetched._replace(body=HeldBody(body, place))
