"""An upstream that asks for access tokens, with its own token endpoint, on one raw server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.metering.upstream import Upstream, UpstreamClient
from tests.metering.upstream.calling import headers_of
from tests.metering.upstream.raw_server import (
    KEYS,
    RawServer,
    answer,
    loopback_at,
    sealed,
    serving,
    upstream_at,
)

SECRET = "s3cret:of/zhigu"
# Each sealing is another text, and so another credential.
SEALED = sealed(SECRET)


@dataclass
class OAuthProvider:
    """Gives `token-1`, `token-2`…; its API takes those in `good`, all of them when that is None."""

    life_s: float = 3600
    good: set[str] | None = None
    token_answer: bytes | None = None
    token_wait_s: float = 0
    given: int = 0
    forms: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    server: RawServer = field(default_factory=RawServer)

    async def behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = self.server.heads[-1]
        headers = headers_of(head)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        writer.write(
            await self._token(body)
            if head.startswith(b"POST /token ")
            else self._api(headers["authorization"].removeprefix("Bearer "), body)
        )
        await writer.drain()

    async def _token(self, form: bytes) -> bytes:
        self.forms.append(form)
        self.given += 1
        token = f"token-{self.given}"
        await asyncio.sleep(self.token_wait_s)
        if self.token_answer is not None:
            return self.token_answer
        told = {"access_token": token, "token_type": "Bearer", "expires_in": self.life_s}
        return answer(json.dumps(told).encode())

    def _api(self, token: str, body: bytes) -> bytes:
        self.taken.append(token)
        self.bodies.append(body)
        if self.good is not None and token not in self.good:
            return answer(f"no such token: {token}".encode(), "401 Unauthorized")
        return answer(b"data")

    def upstream(self, **changes: Any) -> Upstream:
        """The upstream as a compiled grant describes it."""
        auth = {
            "kind": "oauth",
            "name": "zhigu client",
            "sealed": SEALED,
            "token_url": f"http://127.0.0.1:{self.server.port}/token",
            "scope": "read write",
        }
        methods = ["GET", "POST"]
        return upstream_at(self.server.url, **{"auth": auth, "methods": methods, **changes})


def play(provider: OAuthProvider, scenario: Callable[[UpstreamClient], Awaitable[Any]]) -> Any:
    """Run `scenario` with a client that may call `provider`."""

    async def run() -> Any:
        async with serving(provider.behave, keep_alive=True, server=provider.server) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            try:
                return await scenario(client)
            finally:
                await client.close()

    return asyncio.run(run())
