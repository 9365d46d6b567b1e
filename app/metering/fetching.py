"""Fetching: the data that an admitted call asks for, and how many units they are."""

from __future__ import annotations

from app.db.installation import Installation
from app.kernel.refusals import RowNotFound
from app.metering.admission import OpenGrant
from app.metering.errors import MethodNotOffered
from app.metering.fetched import (
    FOREIGN_CONTENT,
    PROXIED_CONTENT,
    Fetched,
    is_success,
    units_of,
)
from app.metering.files import FileDesk
from app.metering.grants import CompiledGrant
from app.metering.hosted import HostedAnswer, HostedStore
from app.metering.requests import DataRequest
from app.metering.upstream import UpstreamClient, UpstreamRequest

CHANNELS = {"rows": "hosted", "files": "file", "api": "upstream"}


class Fetcher:
    """The ways to data: rows and files that lie here, and the provider's own API."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self._store = HostedStore(settings.files_dir)
        self._files = FileDesk(settings.files_dir)
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
        if request.operation == "files":
            return await self._files.answer(opened, request)
        return await self._proxied(opened, request)

    async def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()
        self._files.close()
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
