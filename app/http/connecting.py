"""Connecting to others' servers: a guard inside the connection checks every socket as it is made.

A name may resolve to something public when it is registered and to something private a second
later, so the check of the resolver's answer is repeated on the very address of each socket.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from app.kernel.addresses import Address, Allowance, why_denied

ResolveName = Callable[[str, int], Sequence[Address]]

# Lookups of one pool at a time: slow name servers of one must not hold up the others.
LOOKUPS_MAX = 2
INTERIM_ANSWERS_MAX = 16


class AddressDenied(OSError):
    """A host's address may not be connected to."""


def is_denied(error: BaseException | None) -> bool:
    """Whether the guard is behind `error`: aiohttp wraps what a socket refuses."""
    while error is not None and not isinstance(error, AddressDenied):
        error = error.__cause__
    return error is not None


class GuardedResolver(AbstractResolver):
    """Resolves a name and fails when *any* of its addresses is denied."""

    def __init__(
        self, allowances: Sequence[Allowance], resolve: ResolveName, threads: ThreadPoolExecutor
    ) -> None:
        self._allowances = allowances
        self._resolve = resolve
        self._threads = threads
        self._turns = asyncio.Semaphore(LOOKUPS_MAX)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of `host`, all of them allowed; else `AddressDenied` or `OSError`."""
        async with self._turns:
            addresses = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._resolve, host, port
            )
        if not addresses:
            raise OSError("the name does not resolve")
        for address in addresses:
            if reason := why_denied(address, port, self._allowances):
                raise AddressDenied(reason)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Nothing to close: the threads belong to the client."""


class GuardedConnector(TCPConnector):
    """A connection pool whose sockets only reach allowed addresses."""

    def __init__(
        self, allowances: Sequence[Allowance], resolver: GuardedResolver, **options: Any
    ) -> None:
        super().__init__(resolver=resolver, socket_factory=self.make_socket, **options)
        self._allowances = allowances
        make: Callable[..., ResponseHandler] = ImpatientProtocol
        self._factory = functools.partial(make, loop=self._loop)

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for the address in `info` (as of `getaddrinfo`), or `AddressDenied`."""
        family, kind, protocol, _, sockaddr = info
        if reason := why_denied(ip_address(sockaddr[0]), sockaddr[1], self._allowances):
            raise AddressDenied(reason)
        return socket.socket(family, kind, protocol)


class ImpatientProtocol(ResponseHandler):
    """Ends a connection whose peer sends interim (1xx) answers without end.

    aiohttp reads past them for as long as they come, at the cost of our event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Queue a parsed answer for its reader."""
        if self._interim > INTERIM_ANSWERS_MAX:
            return
        message, _ = data
        self._interim = self._interim + 1 if 100 <= message.code < 200 else 0
        if self._interim <= INTERIM_ANSWERS_MAX:
            super().feed_data(data, size)
            return
        self.set_exception(HttpProcessingError(message="too many interim answers"))
        if self.transport is not None:
            self.transport.abort()


def _result(host: str, port: int, address: Address) -> ResolveResult:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
