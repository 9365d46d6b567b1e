"""Fetching: the data that an admitted call asks for, and how many units they are."""

from __future__ import annotations

from typing import NamedTuple

from app.db.installation import Installation
from app.kernel.refusals import RowNotFound
from app.metering.admission import OpenGrant
from app.metering.errors import MethodNotOffered
from app.metering.grants import CompiledGrant
from app.metering.hosted import HostedAnswer, HostedStore
from app.metering.requests import DataRequest
from app.metering.streams import BodyStream
from app.metering.upstream import UpstreamClient, UpstreamRequest

Headers = tuple[tuple[bytes, bytes], ...]

CHANNELS = {"rows": "hosted", "api": "upstream"}

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

    @property
    def size_bytes(self) -> int | None:
        """The length of the body; None when only its end will tell."""
        body = self.body
        return len(body) if isinstance(body, bytes) else body.size_bytes

    async def discard(self) -> None:
        """Let go of a body that is not sent."""
        if not isinstance(self.body, bytes):
            await self.body.close()


class Fetcher:
    """Both ways to data: rows that lie here, and the provider's own API."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self._store = HostedStore(settings.files_dir)
        self._client = UpstreamClient(installation.keys, settings.upstream_allowances())

    def recall(self, opened: OpenGrant, request: DataRequest) -> Fetched | None:
        """The data, if they are here from a call before; never waits, refuses nothing."""
        if request.operation != "rows" or request.method != "GET" or opened.grant.file is None:
            return None
        answer = self._store.recall(opened.hosted, request.query, request.accept)
        return None if answer is None else _hosted(opened.grant, answer)

    async def fetch(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        """The data, in memory or as a stream; raises what `hosted` and `upstream` raise."""
        if request.operation == "rows":
            return await self._rows(opened, request)
        return await self._proxied(opened, request)

    async def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()
        await self._client.close()

    async def _rows(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        if request.method != "GET":
            raise MethodNotOffered("Rows are read with GET.", headers={"allow": "GET"})
        if opened.grant.file is None:
            raise RowNotFound("This listing has no rows here.")
        return _hosted(
            opened.grant, await self._store.serve(opened.hosted, request.query, request.accept)
        )

    async def _proxied(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        if opened.grant.upstream is None:
            raise RowNotFound("This listing has no API behind it.")
        answer = await self._client.fetch(
            opened.upstream,
            UpstreamRequest(request.method, request.rest, request.query, request.headers),
        )
        units = units_of(opened.grant, answer.status, 1, len(answer.body))
        counts = is_success(answer.status) or units > 0
        headers = answer.headers + PROXIED_CONTENT
        return Fetched(answer.status, headers, answer.body, units, counts)


def _hosted(grant: CompiledGrant, answer: HostedAnswer) -> Fetched:
    units = units_of(grant, 200, answer.rows, len(answer.body))
    return Fetched(200, answer.headers + FOREIGN_CONTENT, answer.body, units, True)


def units_of(grant: CompiledGrant, status: int, rows: int, body_bytes: int) -> int:
    """The units of an answer by the signed meter; none where its status is not billable."""
    statuses = grant.billable_statuses
    if not (is_success(status) if statuses is None else status in statuses):
        return 0
    if grant.meter == "row":
        return rows
    return body_bytes if grant.meter == "byte" else 1


def is_success(status: int) -> bool:
    """Whether the status says that the data came."""
    return 200 <= status < 300
