"""Bodies: what buyers send along with calls, whole, bounded in bytes, in time and in number.

A body is in memory from its first byte until its call is settled. Who sends many, or sends them
slowly, takes from his own share only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.http.problems import TooLarge
from app.kernel.refusals import Malformed, Outage
from app.metering.errors import BodyTooSlow, RateLimited
from app.metering.gateway.streams import Receive
from app.metering.grants import CompiledGrant
from app.metering.rooms import NoRoom, Place, Room
from app.metering.upstream import UpstreamBusy

# What the bodies that are here at one moment may take of a process's memory; what one buyer's may,
# and what those may that wait for one provider, on whose slowness hangs how long they are here.
ROOM_BYTES = 128_000_000
BUYER_SHARE_BYTES = 32_000_000
PROVIDER_SHARE_BYTES = 64_000_000
# A call takes memory beside its body: so a thousand of one buyer's are under way at most.
LEAST_BYTES = 32_000
# Whoever sends more slowly than this is not waited for.
SENDER_MIN_BYTES_S = 20_000
SENDER_GRACE_S = 10.0


class BodyRoom:
    """Memory for the bodies of calls; none is longer than `max_bytes`, or than the room is for."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # A server that is set to take larger bodies has room for some at once, whatever their size.
        times = max(1, -(-4 * (max_bytes + LEAST_BYTES) // BUYER_SHARE_BYTES))
        self._room = Room(times * ROOM_BYTES)
        self._buyer_share_bytes = times * BUYER_SHARE_BYTES
        self._provider_share_bytes = times * PROVIDER_SHARE_BYTES

    @asynccontextmanager
    async def read(
        self, receive: Receive, headers: Sequence[tuple[bytes, bytes]], grant: CompiledGrant
    ) -> AsyncIterator[bytes]:
        """The body of a call on `grant`, which has its place until the context is left.

        Refuses with `TooLarge`, before reading where the length is told; with `RateLimited` where
        the buyer sends too many at once, and with `BodyTooSlow`. Fails with `UpstreamBusy` where
        too many wait for the provider, and with `Outage` where there are too many in all.
        """
        told = next((value for name, value in headers if name == b"content-length"), b"")
        told_bytes = int(told[:20]) if told.isdigit() else 0
        if told_bytes > self._max_bytes:
            raise self._too_large()
        place = self._room.place(self._shares(grant))
        try:
            try:
                place.grow_to(LEAST_BYTES + told_bytes)
                body = await self._read(receive, place)
            except NoRoom as full:
                raise _crowded(full, grant) from None
            yield body
        finally:
            place.give_back()

    async def _read(self, receive: Receive, place: Place) -> bytes:
        body = bytearray()  # a list of pieces may take many times what they hold
        ends_at_s = asyncio.get_running_loop().time() + SENDER_GRACE_S
        noted_bytes = 0
        try:
            async with asyncio.timeout_at(ends_at_s) as deadline:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Malformed("The body ended early.")
                    piece = message.get("body", b"")
                    size_bytes = len(body) + len(piece)
                    if size_bytes > self._max_bytes:
                        raise self._too_large()
                    place.grow_to(LEAST_BYTES + size_bytes)
                    body += piece
                    if not message.get("more_body", False):
                        return bytes(body)
                    if size_bytes - noted_bytes >= LEAST_BYTES:  # each alarm takes memory too
                        noted_bytes = size_bytes
                        deadline.reschedule(ends_at_s + noted_bytes / SENDER_MIN_BYTES_S)
        except TimeoutError as error:
            raise BodyTooSlow(
                "The body did not come in time.",
                sender_grace_s=SENDER_GRACE_S,
                sender_min_bytes_s=SENDER_MIN_BYTES_S,
            ) from error

    def _shares(self, grant: CompiledGrant) -> dict[str, int]:
        return {
            _as_buyer(grant): self._buyer_share_bytes,
            f"provider {grant.provider_id}": self._provider_share_bytes,
        }

    def _too_large(self) -> TooLarge:
        return TooLarge("The body of a call is at most so large.", body_max_bytes=self._max_bytes)


def _as_buyer(grant: CompiledGrant) -> str:
    return f"buyer {grant.buyer_id}"


def _crowded(full: NoRoom, grant: CompiledGrant) -> Exception:
    if full.holder is None:
        return Outage("Too many calls with bodies are under way; try again.")
    if full.holder == _as_buyer(grant):
        return RateLimited(
            "Too many calls with bodies are under way for your organisation; let some of them end.",
            headers={"retry-after": "1"},
            retry_after_s=1,
        )
    return UpstreamBusy()
