"""Proxying: the answer to a call to a provider's own API, and what of it counts.

`proxy_policy.POLICY` says what each ending costs.

An answer over `HELD_MAX_BYTES` passes through the disk. Priced by call and of a length that was
told, it goes out while it still comes; else only when all of it is here: by the byte, because its
size is what is settled before the first byte goes out, and without a length, because an answer over
the cap would be found out too late.
"""

from __future__ import annotations

import hashlib

from app.db.installation import Installation
from app.kernel.refusals import RowNotFound
from app.metering.gateway.admission import OpenGrant
from app.metering.gateway.denials import Denials
from app.metering.gateway.fetched import PROXIED_CONTENT, Fetched, is_success, units_of
from app.metering.gateway.requests import DataRequest
from app.metering.gateway.streams import BodyStream
from app.metering.grants import CompiledGrant
from app.metering.upstream import (
    SpoolRoom,
    Upstream,
    UpstreamAnswer,
    UpstreamClient,
    UpstreamFailed,
    UpstreamRequest,
)

HELD_MAX_BYTES = 2**20
FOLDER = "tmp"


class ProxyDesk:
    """Passes calls on to providers' upstreams, and their answers back."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self._client = UpstreamClient(installation.keys, settings.upstream_allowances())
        self._denials = Denials(installation)
        self._room = SpoolRoom(settings.home / FOLDER)

    async def answer(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        """What the provider answers; raises what `upstream` raises."""
        if opened.grant.upstream is None:
            raise RowNotFound("This listing has no API behind it.")
        answer = await self._fetch(opened.upstream, _forwarded(opened.grant, request))
        if answer.rest is None:
            return _fetched(opened.grant, answer, answer.body, len(answer.body))
        spool = await self._room.take(
            answer.body,
            answer.rest,
            opened.upstream.body_max_bytes,
            (opened.grant.provider_id, opened.grant.buyer_id),
        )
        try:
            size_bytes = spool.size_bytes
            if size_bytes is None or opened.grant.meter != "call":
                size_bytes = await spool.whole()
        except BaseException:
            await spool.close()
            raise
        return _fetched(opened.grant, answer, spool, size_bytes)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.close()
        await self._denials.close()

    async def _fetch(self, upstream: Upstream, request: UpstreamRequest) -> UpstreamAnswer:
        try:
            return await self._client.fetch(upstream, request, HELD_MAX_BYTES)
        except UpstreamFailed as failed:
            if failed.reason == "address":
                self._denials.note(upstream)
            raise


def _fetched(
    grant: CompiledGrant, answer: UpstreamAnswer, body: bytes | BodyStream, size_bytes: int
) -> Fetched:
    units = units_of(grant, answer.status, 1, size_bytes)
    counts = is_success(answer.status) or units > 0
    return Fetched(answer.status, answer.headers + PROXIED_CONTENT, body, units, counts)


def _forwarded(grant: CompiledGrant, request: DataRequest) -> UpstreamRequest:
    return UpstreamRequest(
        request.method,
        request.rest,
        request.query,
        request.headers,
        request.body,
        _repeat_key(grant, request),
    )


def _repeat_key(grant: CompiledGrant, request: DataRequest) -> str | None:
    """What the provider may know a repeated POST by; it says nothing else of who repeats it."""
    if request.body is None or request.key is None:
        return None
    return hashlib.sha256(f"{grant.grant_id} {request.key}".encode("ascii")).hexdigest()
