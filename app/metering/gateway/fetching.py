"""Fetching: the data that an admitted call asks for, and how many units they are."""

from __future__ import annotations

from app.db.installation import Installation
from app.kernel.refusals import RowNotFound
from app.metering.gateway.admission import OpenGrant
from app.metering.gateway.fetched import FOREIGN_CONTENT, Fetched, units_of
from app.metering.gateway.files import FileDesk
from app.metering.gateway.holding import HoldingRoom
from app.metering.gateway.proxying import ProxyDesk
from app.metering.gateway.requests import DataRequest
from app.metering.grants import CompiledGrant
from app.metering.hosted import HostedAnswer, HostedStore

CHANNELS = {"rows": "hosted", "files": "file", "api": "upstream"}


class Fetcher:
    """The ways to data: rows and files that lie here, and the provider's own API."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self._store = HostedStore(settings.files_dir)
        self._files = FileDesk(settings.files_dir)
        self._proxy = ProxyDesk(installation)
        self._room = HoldingRoom()

    def recall(self, opened: OpenGrant, request: DataRequest) -> Fetched | None:
        """The data, if they are here from a call before; never waits. Refuses as `fetch` does where
        much is being read.
        """
        if request.operation != "rows" or opened.grant.file is None:
            return None
        answer = self._store.recall(opened.hosted, request.query, request.accept)
        if answer is None:
            return None
        return self._room.hold(opened.grant, _hosted(opened.grant, answer))

    def needs_body(self, opened: OpenGrant, request: DataRequest) -> bool:
        """Whether the body of an admitted POST is to be read before anything is fetched."""
        return request.operation == "api" and opened.grant.upstream is not None

    async def fetch(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        """The data, in memory or as a stream; raises what `hosted` and `upstream` raise, and
        `RateLimited` or `Outage` where too much is being read at once.
        """
        return self._room.hold(opened.grant, await self._fetch(opened, request))

    async def _fetch(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        if request.operation == "rows":
            return await self._rows(opened, request)
        if request.operation == "files":
            return await self._files.answer(opened, request)
        return await self._proxy.answer(opened, request)

    async def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()
        self._files.close()
        await self._proxy.close()

    async def _rows(self, opened: OpenGrant, request: DataRequest) -> Fetched:
        if opened.grant.file is None:
            raise RowNotFound("This listing has no rows here.")
        return _hosted(
            opened.grant, await self._store.serve(opened.hosted, request.query, request.accept)
        )


def _hosted(grant: CompiledGrant, answer: HostedAnswer) -> Fetched:
    units = units_of(grant, 200, answer.rows, len(answer.body))
    return Fetched(200, answer.headers + FOREIGN_CONTENT, answer.body, units, True)
