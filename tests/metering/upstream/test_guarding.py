"""No upstream reaches a private address: by spelling, by name, by rebinding (fault plan F-H3)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import aiohttp
import pytest

from app.http.connecting import (
    AddressDenied,
    GuardedConnector,
    GuardedResolver,
    ResolveName,
)
from app.kernel.addresses import Address, AddressRefused, UpstreamUrl, refuse_private_host
from app.metering.upstream import Upstream, UpstreamAnswer, UpstreamClient, UpstreamFailed
from app.settings import UpstreamAllowance
from tests.kernel.test_addresses import DENIED
from tests.metering.upstream.raw_server import (
    KEYS,
    answer,
    fixed,
    get,
    loopback_at,
    serving,
    unchecked,
    upstream_at,
)


def never(host: str, port: int) -> Sequence[Address]:
    raise AssertionError("must not be asked")


async def reason_of(
    upstream: Upstream, allowances: Sequence[UpstreamAllowance] = (), resolve: ResolveName = never
) -> str:
    client = UpstreamClient(KEYS, allowances, resolve=resolve)
    try:
        with pytest.raises(UpstreamFailed) as failed:
            await client.fetch(upstream, get())
        assert failed.value.facts == {}
        return failed.value.reason
    finally:
        await client.close()


def test_loopback_is_refused_when_the_operator_allows_nothing() -> None:
    async def play() -> None:
        async with serving(fixed(answer())) as server:
            assert await reason_of(upstream_at(server.url)) == "address"
            assert server.connections == 0
            client = UpstreamClient(KEYS, loopback_at(server.port))
            got = await client.fetch(upstream_at(server.url), get())
            await client.close()
            assert got.status == 200

    asyncio.run(play())


def test_an_allowance_for_another_port_does_not_help() -> None:
    async def play() -> None:
        async with serving(fixed(answer())) as server:
            others = loopback_at(server.port + 1)
            assert await reason_of(upstream_at(server.url), others) == "address"
            assert server.connections == 0

    asyncio.run(play())


def test_a_literal_that_is_not_public_never_gets_a_socket_even_if_registration_let_it_through() -> (
    None
):
    for host, _ in DENIED:
        if "%" in host:
            continue  # no URL holds a zone id, whoever wrote it
        upstream = unchecked(UpstreamUrl("http", host, 80, ""), upstream_at("http://a.example"))
        assert asyncio.run(reason_of(upstream)) == "address", host


def test_no_name_leads_to_an_address_that_is_not_public_alone_or_beside_public_ones() -> None:
    """A CNAME is followed before we see it: what counts is where it ends."""
    public = [ip_address("8.8.8.8"), ip_address("2606:4700::1111")]
    names = ("metadata.google.internal", "localhost.", "a.example", "127.0.0.1.nip.example")
    for place, (text, _) in enumerate(DENIED):
        address = ip_address(text)
        mixed = [[address], [address, *public], [*public, address]][place % 3]
        host = names[place % len(names)]
        upstream = unchecked(UpstreamUrl("http", host, 80, ""), upstream_at("http://a.example"))
        resolve = lambda host, port, found=mixed: found  # noqa: E731  one line says it
        assert asyncio.run(reason_of(upstream, (), resolve)) == "address", text


def test_a_name_that_changes_with_every_look_is_called_only_where_it_may_be() -> None:
    """Time to live 0: allowed and denied in turn; each connection is decided by its own address."""

    async def play() -> tuple[list[str], int]:
        async with serving(fixed(answer(b"ours"))) as server:
            turns = itertools.cycle(["127.0.0.1", "127.0.0.2", "10.0.0.1"])
            resolve = lambda host, port: [ip_address(next(turns))]  # noqa: E731  one line
            told = []
            for _ in range(6):
                client = UpstreamClient(KEYS, loopback_at(server.port), resolve=resolve)
                upstream = upstream_at(f"http://rebind.example:{server.port}")
                try:
                    told.append((await client.fetch(upstream, get())).body.decode())
                except UpstreamFailed as failed:
                    told.append(failed.reason)
                finally:
                    await client.close()
            return told, server.connections

    assert asyncio.run(play()) == (["ours", "address", "address"] * 2, 2)


def test_a_denied_address_and_one_where_nobody_listens_look_alike_to_the_buyer() -> None:
    def told(addresses: Sequence[Address]) -> tuple[object, ...]:
        async def play() -> tuple[object, ...]:
            client = UpstreamClient(KEYS, (), resolve=lambda host, port: addresses)
            try:
                with pytest.raises(UpstreamFailed) as failed:
                    await client.fetch(upstream_at("http://a.example"), get())
                error = failed.value
                return error.slug, error.status, error.detail, error.facts, error.retry_after_s
            finally:
                await client.close()

        return asyncio.run(play())

    assert told([ip_address("10.0.0.1")]) == told([])


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"])
def test_an_odd_spelling_of_loopback_does_not_connect(host: str) -> None:
    async def play() -> None:
        async with serving(fixed(answer())) as server:
            url = UpstreamUrl("http", host, server.port, "")
            upstream = unchecked(url, upstream_at("http://a.example"))
            loopback = lambda host, port: [ip_address("127.0.0.1")]  # noqa: E731  one line says it
            assert await reason_of(upstream, (), loopback) in {"address", "broken"}
            assert server.connections == 0

    asyncio.run(play())


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "::1"], ["fe80::1"]]
)
def test_a_name_with_any_private_address_is_refused_when_connecting(addresses: list[str]) -> None:
    resolve = lambda host, port: [ip_address(text) for text in addresses]  # noqa: E731  one line
    upstream = upstream_at("http://api.example.com")
    assert asyncio.run(reason_of(upstream, (), resolve)) == "address"


def test_a_name_that_was_public_at_registration_and_is_rebound_to_loopback_is_refused() -> None:
    async def play() -> None:
        async with serving(fixed(answer())) as server:
            answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])

            def rebinding(host: str, port: int) -> Sequence[Address]:
                return [ip_address(text) for text in next(answers)]

            upstream = upstream_at(f"http://rebind.example:{server.port}")
            refuse_private_host(upstream.url, (), rebinding)
            with pytest.raises(AddressRefused):
                refuse_private_host(upstream.url, (), rebinding)
            assert await reason_of(upstream, (), rebinding) == "address"
            assert server.connections == 0

    asyncio.run(play())


class LyingResolver(GuardedResolver):
    """A resolver whose own check has been got around."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:  # type: ignore[override]  # a liar by design
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET}
            | {"proto": 6, "flags": 0}
        ]


def test_the_socket_itself_is_checked_whatever_the_resolver_said() -> None:
    async def play() -> None:
        with ThreadPoolExecutor(1) as threads:
            connector = GuardedConnector((), LyingResolver((), never, threads))
            with pytest.raises(AddressDenied):
                connector.make_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80)))
            async with serving(fixed(answer())) as server:
                async with aiohttp.ClientSession(connector=connector) as session:
                    with pytest.raises(aiohttp.ClientConnectorError) as failed:
                        await session.get(f"http://api.example.com:{server.port}/")
                assert isinstance(failed.value.os_error, AddressDenied)
                assert server.connections == 0

    asyncio.run(play())


def test_a_park_reaches_its_own_name_where_the_operator_allows_the_network() -> None:
    async def play() -> UpstreamAnswer:
        async with serving(fixed(answer(b"ours"))) as server:
            resolve = lambda host, port: [ip_address("127.0.0.1")]  # noqa: E731  one line
            client = UpstreamClient(KEYS, loopback_at(server.port), resolve=resolve)
            try:
                url = f"http://stats.park.internal:{server.port}"
                return await client.fetch(upstream_at(url), get())
            finally:
                await client.close()

    assert asyncio.run(play()).body == b"ours"


def test_a_name_that_does_not_resolve_is_an_unreachable_upstream() -> None:
    upstream = upstream_at("http://nobody.example")
    assert asyncio.run(reason_of(upstream, (), lambda host, port: [])) == "unreachable"


@pytest.mark.parametrize("port", [22, 25, 6379])
def test_a_port_of_another_protocol_is_not_spoken_to_on_a_public_address(port: int) -> None:
    upstream = upstream_at(f"http://8.8.8.8:{port}")
    assert asyncio.run(reason_of(upstream)) == "address"
