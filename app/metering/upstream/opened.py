"""Opened: an answer whose headers are here and whose body still comes, watched as it does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from app.metering.upstream.answers import Headers
from app.metering.upstream.credentials import Credential
from app.metering.upstream.errors import UpstreamFailed, UpstreamTimeout, UpstreamTooLarge
from app.metering.upstream.failing import as_failure


class OpenAnswer:
    """An answer while its body comes; `length` is None if untold."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        length: int | None,
        content: aiohttp.StreamReader,
        credential: Credential,
        max_bytes: int,
    ) -> None:
        self.status = status
        self.headers = headers
        self.length = length
        self._content = content
        self._credential = credential
        self._max_bytes = max_bytes
        self._size = 0
        self._held_back = b""

    async def piece(self) -> bytes:
        """The next piece of the body, empty at its end.

        Raises `UpstreamTooLarge` once it is over the cap, `UpstreamFailed` when it is broken or
        echoes the credential. An end that could be the beginning of an echo is held back until
        more has come.
        """
        while True:
            with as_failure():
                chunk = await self._content.readany()
            if not chunk:
                last, self._held_back = self._held_back, b""
                return last
            self._size += len(chunk)
            if self._size > self._max_bytes:
                raise UpstreamTooLarge(self._max_bytes)
            if piece := self._without_echo(chunk):
                return piece

    async def begin(self, held_max_bytes: int) -> tuple[bytes, bool]:
        """The body, and whether this is all of it: reading stops at `held_max_bytes` or soon
        after.
        """
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > held_max_bytes:
                return b"".join(pieces), False
        return b"".join(pieces), True

    def _without_echo(self, chunk: bytes) -> bytes:
        credential = self._credential
        if not credential.traces:
            return chunk
        data = self._held_back + chunk
        if credential.is_echoed_in(data):
            raise UpstreamFailed("echo")
        cut = max(0, len(data) + 1 - max(map(len, credential.traces)))
        self._held_back = data[cut:]
        return data[:cut]


class Coming:
    """The rest of a large body; `left_s` is how long the upstream may still take for it."""

    def __init__(self, opened: OpenAnswer, left_s: float, stack: AsyncExitStack) -> None:
        self._opened = opened
        self._left_s = left_s
        self._stack = stack

    @property
    def size_bytes(self) -> int | None:
        """How long the whole body is."""
        return self._opened.length

    async def piece(self) -> bytes:
        """The next piece, empty at the end."""
        loop = asyncio.get_running_loop()
        began_at_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                return await self._opened.piece()
        except TimeoutError as error:
            raise UpstreamTimeout from error
        finally:
            self._left_s -= loop.time() - began_at_s

    async def close(self) -> None:
        """Let go of the connection."""
        await self._stack.aclose()
