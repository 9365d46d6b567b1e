"""Calls through the gateway to an upstream on loopback, with everything around them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.tables import usage_event
from tests.metering.gateway_client import Answer, Caller, give, play
from tests.metering.upstream.raw_server import Behaviour, RawServer, fixed, serving

API = "/data/world-gdp/api"
SECRET = "s3cret-key-1"

Story = Callable[[Caller], Awaitable[None]]


class Asking:
    """Calls to an upstream that behaves in one way. `changes` are of the grant, `upstream` of what
    it says of the upstream.
    """

    def __init__(
        self,
        installation: Installation,
        answer: bytes | Behaviour,
        *,
        allowed: bool = True,
        upstream: dict[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        self._allowed = allowed
        self._installation = installation
        self._behave = fixed(answer) if isinstance(answer, bytes) else answer
        self._upstream = upstream or {}
        self._changes = changes
        self.server = RawServer()
        self._plays = 0
        self.gives: list[tuple[str, dict[str, Any]]] = []
        """More grants on the same upstream: their ids, and what is different about them."""

    def call(self, path: str = "/v1/cities?q=1", method: str = "GET", times: int = 1) -> Answer:
        return self.calls(path, method, times)[-1]

    def calls(
        self,
        path: str,
        method: str,
        times: int,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> list[Answer]:
        answers: list[Answer] = []

        async def story(caller: Caller) -> None:
            for _ in range(times):
                answers.append(await caller.call(method, API + path, headers=headers, body=body))

        self.play(story)
        return answers

    def play(self, story: Story) -> None:
        """Run `story` against a gateway that may call the upstream; may be done again."""
        self._plays += 1

        async def run() -> None:
            async with serving(self._behave, server=self.server) as server:
                opened = self._on(server)
                await asyncio.to_thread(self.give)
                for grant_id, changes in self.gives:
                    await asyncio.to_thread(self.give, grant_id, **changes)
                await asyncio.to_thread(play, opened, story)

        asyncio.run(run())

    def give(self, grant_id: str = "grt_one", **changes: Any) -> None:
        """Give a grant on the upstream; its `upstream` changes are beside those of all grants."""
        keys = self._installation.keys
        sealed = keys.seal(SECRET.encode(), "upstream:lst_one")
        upstream = {
            "listing_id": "lst_one",
            "base_url": self.server.url,
            "auth": {"kind": "header", "name": "X-Api-Key", "sealed": sealed},
            "timeout_s": 5,
            "body_max_bytes": 1000,
            "methods": ["GET"],
            **self._upstream,
            **changes.get("upstream", {}),
        }
        changes.setdefault("epoch", self._plays)
        document = {"channels_allowed": ["upstream"], "file": None, "upstream": upstream}
        give(self._installation, grant_id, **{**self._changes, **changes, **document})

    def events(self, grant_id: str = "grt_one") -> list[Any]:
        """The grant's events, by number."""
        statement = sa.select(usage_event).where(usage_event.c.grant_id == grant_id)
        with self._installation.usage.connect() as connection:
            return list(connection.execute(statement.order_by(usage_event.c.number)))

    def _on(self, server: RawServer) -> Installation:
        allowed = (f"127.0.0.1/32:{server.port}",) if self._allowed else ()
        settings = msgspec.structs.replace(self._installation.settings, upstream_allow=allowed)
        return dataclasses.replace(self._installation, settings=settings)
