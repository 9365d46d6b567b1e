"""Fetched: data ready to be settled and sent, and how many units they are."""

from __future__ import annotations

from typing import NamedTuple

from app.metering.gateway.streams import BodyStream
from app.metering.grants import CompiledGrant

Headers = tuple[tuple[bytes, bytes], ...]

WHOLE, PART = 200, 206

# What comes from a provider is foreign content: it runs nothing, and nobody keeps it.
FOREIGN_CONTENT: Headers = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
PROXIED_CONTENT: Headers = (*FOREIGN_CONTENT, (b"content-disposition", b"attachment"))


class Fetched(NamedTuple):
    """An answer ready to send, but for what is said of its settling.

    `counts` is false for one that is no use of the data. A body that is a stream must be closed by
    whoever does not send it.
    """

    status: int
    headers: Headers
    body: bytes | BodyStream
    units: int
    counts: bool

    async def discard(self) -> None:
        """Let go of a body that is not sent."""
        if not isinstance(self.body, bytes):
            await self.body.close()


def units_of(grant: CompiledGrant, status: int, rows: int, body_bytes: int) -> int:
    """The units of an answer by the signed meter; none where its status is not billable.

    A part (206) is billed wherever the whole (200) is: else who asks for `bytes=0-` gets it free.
    """
    statuses = grant.billable_statuses
    if statuses is None:
        billed = is_success(status)
    else:
        billed = status in statuses or (status == PART and WHOLE in statuses)
    if not billed or status >= 500:
        return 0
    if grant.meter == "row":
        return rows
    return body_bytes if grant.meter == "byte" else 1


def is_success(status: int) -> bool:
    """Whether the status says that the data came."""
    return 200 <= status < 300
