"""The provider's credential goes to the provider and nowhere else."""

from __future__ import annotations

import asyncio
import base64

import pytest

from app.metering.upstream import UpstreamClient, UpstreamFailed
from tests.metering.upstream.calling import call, failure, headers_of, play_with_client
from tests.metering.upstream.raw_server import (
    KEYS,
    LISTING,
    RawServer,
    answer,
    fixed,
    get,
    sealed,
    upstream_at,
)

AUTHS: list[tuple[dict[str, str], str, str]] = [
    ({"kind": "header", "name": "X-Api-Key"}, "s3cret-key-1", "x-api-key: s3cret-key-1"),
    (
        {"kind": "header", "name": "Authorization"},
        "Bearer abcdefgh",
        "authorization: Bearer abcdefgh",
    ),
    (
        {"kind": "basic"},
        "user:p@ss:word",
        "authorization: Basic " + base64.b64encode(b"user:p@ss:word").decode(),
    ),
    (
        {"kind": "basic", "username": "user"},
        "p@ssword",
        "authorization: Basic " + base64.b64encode(b"user:p@ssword").decode(),
    ),
]


@pytest.mark.parametrize(("auth", "secret", "line"), AUTHS)
def test_a_header_credential_is_injected(auth: dict[str, str], secret: str, line: str) -> None:
    _, server = call(answer(), auth=auth | {"sealed": sealed(secret)})
    name, _, value = line.partition(": ")
    assert headers_of(server.heads[0])[name] == value


def test_a_query_credential_replaces_the_callers_own_of_that_name() -> None:
    _, server = call(
        answer(),
        get(query="a=1&KEY=mine&%6bey=mine&key&b=2"),
        auth={"kind": "query", "name": "key", "sealed": sealed("s3cret&key")},
    )
    assert server.heads[0].startswith(b"GET /base/rows?a=1&b=2&key=s3cret%26key HTTP/1.1")


def test_a_credential_sealed_for_another_listing_is_not_used() -> None:
    stolen = KEYS.seal(b"s3cret-key-1", "upstream:lst_other")
    auth = {"kind": "header", "name": "X-Api-Key", "sealed": stolen}
    assert failure(answer(), auth=auth) == "credential"


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"your key s3cret/key-1 is bad", "401 No"),
        answer(b"your key s3cret/key-1 is bad", "407 No"),
        answer(b"your key s3cret/key-1 is bad", "403 No"),
        answer(b'{"X-Api-Key":"s3cret\\/key-1"}'),
        answer(b"?key=s3cret%2Fkey-1"),
        answer(b"", "200 OK", "X-Debug: s3cret/key-1"),
        answer(b"", "302 Found", "Location: /?key=s3cret/key-1"),
    ],
)
def test_a_credential_is_never_echoed_to_the_buyer(raw: bytes) -> None:
    auth = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("s3cret/key-1")}
    with pytest.raises(UpstreamFailed) as failed:
        call(raw, auth=auth)
    assert "s3cret" not in f"{failed.value.detail} {failed.value.facts}"


def test_a_basic_credential_is_recognised_in_its_encoded_form() -> None:
    token = base64.b64encode(b"user:p@ssword")
    auth = {"kind": "basic", "username": "user", "sealed": sealed("p@ssword")}
    assert failure(answer(b"Basic " + token), auth=auth) == "echo"


@pytest.mark.parametrize("held_max_bytes", [None, 1])
def test_a_credential_that_comes_in_two_pieces_is_recognised_before_either_goes_on(
    held_max_bytes: int | None,
) -> None:
    async def in_two_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\nyour key, which we keep, is s3cr"
        )
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"et/key-1, thank you")
        await writer.drain()

    async def scenario(client: UpstreamClient, server: RawServer) -> bytes:
        auth = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("s3cret/key-1")}
        got = b""
        with pytest.raises(UpstreamFailed) as failed:
            begun = await client.fetch(upstream_at(server.url, auth=auth), get(), held_max_bytes)
            got += begun.body
            assert begun.rest is not None
            try:
                while piece := await begun.rest.piece():
                    got += piece
            finally:
                await begun.rest.close()
        assert failed.value.reason == "echo"
        return got

    got = play_with_client(in_two_pieces, scenario)
    assert b"s3cr" not in got
    assert bool(got) == (held_max_bytes == 1)


def test_a_header_credential_with_a_line_break_does_not_split_the_request() -> None:
    auth = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("abc\r\nX-Evil: 1")}
    assert failure(answer(), auth=auth) == "broken"


def test_a_listing_id_is_part_of_what_a_credential_is_remembered_by() -> None:
    auth = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("s3cret-key-1")}

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        await client.fetch(upstream_at(server.url, auth=auth), get())
        with pytest.raises(UpstreamFailed):
            await client.fetch(upstream_at(server.url, auth=auth, listing_id=LISTING + "b"), get())

    play_with_client(fixed(answer()), scenario)


@pytest.mark.parametrize("kind", ["header", "query"])
def test_with_a_credential_no_packed_answer_is_asked_for_in_which_an_echo_could_hide(
    kind: str,
) -> None:
    auth = {"kind": kind, "name": "key", "sealed": sealed("s3cret-key-1")}
    _, server = call(answer(), get(accept_encoding="gzip"), auth=auth)
    assert headers_of(server.heads[0])["accept-encoding"] == "identity"
