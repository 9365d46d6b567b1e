"""Calls to an upstream on loopback that behaves, and to one that does not (fault plan F-D1)."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.metering.upstream import (
    MethodNotAllowed,
    PathRefused,
    UpstreamAnswer,
    UpstreamBusy,
    UpstreamClient,
    UpstreamFailed,
    UpstreamRequest,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from app.metering.upstream import pools as pools_module
from tests.metering.upstream.raw_server import (
    BODY_MAX_BYTES,
    KEYS,
    LISTING,
    Behaviour,
    RawServer,
    answer,
    fixed,
    get,
    loopback_at,
    sealed,
    serving,
    upstream_at,
)


def call(
    behave: Behaviour | bytes, request: UpstreamRequest | None = None, **changes: object
) -> tuple[UpstreamAnswer, RawServer]:
    """One call to an upstream that is allow-listed: its answer and the server that was asked."""

    async def play() -> tuple[UpstreamAnswer, RawServer]:
        behaviour = fixed(behave) if isinstance(behave, bytes) else behave
        async with serving(behaviour) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            try:
                upstream = upstream_at(server.url, **changes)
                return await client.fetch(upstream, request or get()), server
            finally:
                await client.close()

    return asyncio.run(play())


def failure(behave: Behaviour | bytes, **changes: object) -> str:
    with pytest.raises(UpstreamFailed) as failed:
        call(behave, **changes)
    assert failed.value.status == 502
    assert failed.value.slug == "upstream-failed"
    return failed.value.reason


def headers_of(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {n.lower(): v for n, _, v in (line.partition(": ") for line in lines if line)}


def test_an_answer_comes_back_with_its_status_body_and_end_to_end_headers() -> None:
    got, server = call(
        answer(b'{"a":1}', "200 OK", "Content-Type: application/json", "X-Total-Count: 7")
    )
    assert got == UpstreamAnswer(
        200, ((b"content-type", b"application/json"), (b"x-total-count", b"7")), b'{"a":1}'
    )
    assert server.heads[0].startswith(b"GET /base/rows HTTP/1.1\r\n")
    assert headers_of(server.heads[0])["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("status", ["200 OK", "204 None", "206 Part", "404 Not Found", "429 Slow"])
def test_a_status_below_500_is_the_upstreams_own_word(status: str) -> None:
    got, _ = call(answer(b"", status))
    assert got.status == int(status[:3])


def test_path_and_query_are_forwarded_byte_for_byte() -> None:
    _, server = call(answer(), get("/a%2Fb//%E4%B8%AD;v=1/", "q=%E6%96%87+x&q=a%26b&x=100%&y=[1]"))
    assert server.heads[0].startswith(
        b"GET /base/a%2Fb//%E4%B8%AD;v=1/?q=%E6%96%87+x&q=a%26b&x=100%&y=[1] HTTP/1.1\r\n"
    )


def test_nothing_that_the_buyer_says_about_himself_reaches_the_provider() -> None:
    _, server = call(
        answer(),
        get(
            authorization="Bearer buyer",
            cookie="a=b",
            contract="ctr_x",
            purpose="RESEARCH",
            idempotency_key="k",
            x_forwarded_for="10.0.0.1",
            proxy_authorization="Basic x",
            connection="x-secret",
            x_secret="1",
            host="evil.example",
            user_agent="buyer/1",
            accept="text/csv",
            accept_language="zh",
            range="bytes=0-1",
        ),
    )
    told = headers_of(server.heads[0])
    assert told == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "zhigu",
        "accept": "text/csv",
        "accept-language": "zh",
        "accept-encoding": "identity",
        "range": "bytes=0-1",
        "via": "1.1 zhigu",
    }


def test_a_packed_body_is_forwarded_as_it_is() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < BODY_MAX_BYTES
    got, server = call(
        answer(bomb, "200 OK", "Content-Encoding: gzip"), get(accept_encoding="gzip, br")
    )
    assert got.body == bomb
    assert (b"content-encoding", b"gzip") in got.headers
    assert headers_of(server.heads[0])["accept-encoding"] == "gzip, br"


def test_a_chunked_body_is_joined() -> None:
    got, _ = call(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    assert (got.body, got.headers) == (b"abcde", ())


def test_interim_answers_are_skipped() -> None:
    got, _ = call(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + answer(b"x"))
    assert (got.status, got.body, got.headers) == (200, b"x", ())


def test_what_could_act_on_our_origin_or_speak_in_our_name_is_stripped() -> None:
    withheld = [
        "Set-Cookie: a=b",
        "Connection: close, X-Private",
        "X-Private: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Authenticate: Basic",
        "Content-Security-Policy: default-src *",
        "Access-Control-Allow-Origin: *",
        "Strict-Transport-Security: max-age=1",
        "Clear-Site-Data: *",
        "Cache-Control: public",
        "Content-Disposition: inline",
        "Usage-Receipt: evt_forged",
        "RateLimit: forged",
        "RateLimit-Policy: forged",
        "Server: x",
    ]
    got, _ = call(answer(b"<script>", "200 OK", *withheld, "Content-Type: text/html", "ETag: 1"))
    assert got.headers == ((b"content-type", b"text/html"), (b"etag", b"1"))


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "/elsewhere"]
)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(status: int, location: str) -> None:
    assert failure(answer(b"", f"{status} Moved", f"Location: {location}")) == "redirect"


@pytest.mark.parametrize("status", ["500 Broken", "502 x", "503 x", "599 x", "600 x", "999 x"])
def test_an_upstreams_own_failure_is_told_with_its_status(status: str) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        call(answer(b"stack trace", status))
    assert failed.value.facts == {"upstream_status": int(status[:3])}


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 1000 x\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        OK + b"Content-Length: 50\r\n\r\nearly close",
        OK + b"Content-Length: 2\r\n\r\nmore than two",
        OK + b"Content-Length: -2\r\n\r\nab",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: xchunked\r\n\r\nab",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\nab",
        OK + b"X : a\r\nContent-Length: 2\r\n\r\nab",
        OK + b"X: " + b"a" * 100_000 + b"\r\nContent-Length: 2\r\n\r\nab",
        OK + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"Content-Length: 2\r\n\r\nab",
        OK + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8_000) for n in range(5)) + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + answer(b"x"),
    ],
    ids=lambda raw: repr(raw[:60]),
)
def test_a_malformed_or_broken_answer_is_a_failed_upstream(raw: bytes) -> None:
    assert failure(raw) in {"broken", "headers", "status"}


def test_a_flood_of_interim_answers_ends_the_connection() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 100)
            await writer.drain()

    assert failure(flood, timeout_s=60) == "broken"


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


async def _endless_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        await writer.drain()


async def _hundred_gigabytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 100000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


@pytest.mark.parametrize("behave", [_endless, _endless_chunks, _hundred_gigabytes])
def test_a_body_over_the_cap_is_dropped_without_reading_on(behave: Behaviour) -> None:
    sizes: list[int] = []

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write = writer.write
        writer.write = lambda data: (sizes.append(len(data)), write(data))  # type: ignore[method-assign]  # an observer of what is really sent
        await behave(reader, writer)

    with pytest.raises(UpstreamTooLarge) as failed:
        call(counting, timeout_s=60)
    assert (failed.value.status, failed.value.slug) == (502, "upstream-too-large")
    # Socket buffers of both sides may fill, no more: nothing piles up here.
    assert sum(sizes) < 20_000_000


def test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not() -> None:
    got, _ = call(answer(b"x" * BODY_MAX_BYTES))
    assert len(got.body) == BODY_MAX_BYTES
    with pytest.raises(UpstreamTooLarge):
        call(answer(b"x" * (BODY_MAX_BYTES + 1)))


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _hang_in_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 10\r\n\r\nabc")
    await asyncio.sleep(60)


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _trickle_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("behave", [_hang, _hang_in_the_body, _trickle, _trickle_headers])
def test_a_slow_upstream_is_cut_off_at_the_deadline(behave: Behaviour) -> None:
    with pytest.raises(UpstreamTimeout) as failed:
        call(behave, timeout_s=0.3)
    assert (failed.value.status, failed.value.slug) == (504, "upstream-timeout")


def test_an_upstream_that_is_down_fails() -> None:
    async def play() -> str:
        async with serving(_hang) as server:
            port = server.port
        client = UpstreamClient(KEYS, loopback_at(port))
        try:
            with pytest.raises(UpstreamFailed) as failed:
                await client.fetch(upstream_at(f"http://127.0.0.1:{port}"), get())
            return failed.value.reason
        finally:
            await client.close()

    assert asyncio.run(play()) == "unreachable"


def test_head_has_no_body_and_is_offered_with_get() -> None:
    head = UpstreamRequest("HEAD", b"/rows")
    got, server = call(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", head)
    assert (got.status, got.body) == (200, b"")
    assert server.heads[0].startswith(b"HEAD /base/rows ")


@pytest.mark.parametrize("method", ["POST", "DELETE", "CONNECT", "TRACE", "get", "GET\r\nX: y"])
def test_a_method_that_the_listing_does_not_offer_is_refused(method: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        call(answer(), UpstreamRequest(method, b"/rows"))
    assert (refused.value.status, refused.value.headers) == (405, {"Allow": "GET"})


def test_a_path_that_climbs_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(PathRefused):
        call(answer(), get("/../admin"))


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


def test_a_header_credential_with_a_line_break_does_not_split_the_request() -> None:
    auth = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("abc\r\nX-Evil: 1")}
    assert failure(answer(), auth=auth) == "broken"


def test_a_loop_through_ourselves_is_cut() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        call(answer(), get(via="1.1 zhigu, 1.1 zhigu, 1.1 zhigu"))
    assert failed.value.reason == "loop"
    _, server = call(answer(), get(via="1.1 proxy, 1.1 zhigu"))
    assert headers_of(server.heads[0])["via"] == "1.1 zhigu, 1.1 zhigu"


def play_with_client(
    behave: Behaviour, scenario: Callable[[UpstreamClient, RawServer], Awaitable[Any]]
) -> Any:
    async def play() -> Any:
        async with serving(behave, keep_alive=True) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            try:
                return await scenario(client, server)
            finally:
                await client.close()

    return asyncio.run(play())


def test_a_connection_is_kept_for_the_next_call_but_not_after_a_broken_one() -> None:
    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        for _ in range(3):
            await client.fetch(upstream_at(server.url, body_max_bytes=5_000_000), get())
        assert server.connections == 1
        with pytest.raises(UpstreamTooLarge):
            await client.fetch(upstream_at(server.url, body_max_bytes=1), get())
        await client.fetch(upstream_at(server.url, body_max_bytes=5_000_000), get())
        assert server.connections == 2

    play_with_client(fixed(answer(b"x" * 5_000_000)), scenario)


def test_two_providers_never_share_a_connection() -> None:
    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstream = upstream_at(server.url)
        other = type(upstream)(
            upstream.listing_id,
            "org_other",
            upstream.url,
            upstream.credential,
            upstream.timeout_s,
            upstream.body_max_bytes,
            upstream.methods,
        )
        await client.fetch(upstream, get())
        await client.fetch(other, get())
        assert server.connections == 2

    play_with_client(fixed(answer()), scenario)


def test_pools_of_providers_that_are_not_in_use_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_module, "POOLS_MAX", 2)

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstream = upstream_at(server.url)
        for number in (1, 2, 3, 1):
            copy = type(upstream)(
                upstream.listing_id,
                f"org_{number}",
                upstream.url,
                upstream.credential,
                upstream.timeout_s,
                upstream.body_max_bytes,
                upstream.methods,
            )
            await client.fetch(copy, get())
        assert server.connections == 4

    play_with_client(fixed(answer()), scenario)


def test_calls_beyond_a_providers_share_are_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_module, "PROVIDER_CALLS_MAX", 2)

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstream = upstream_at(server.url)
        slow = [asyncio.create_task(client.fetch(upstream, get())) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(UpstreamBusy) as busy:
            await client.fetch(upstream, get())
        assert busy.value.status == 503
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        with pytest.raises(UpstreamTimeout):
            await client.fetch(upstream_at(server.url, timeout_s=0.2), get())

    play_with_client(_hang, scenario)


def test_an_unreachable_upstream_is_left_alone_after_a_few_calls() -> None:
    async def play() -> list[str]:
        async with serving(_hang) as server:
            port = server.port
        client = UpstreamClient(KEYS, loopback_at(port))
        reasons = []
        for _ in range(7):
            with pytest.raises(UpstreamFailed) as failed:
                await client.fetch(upstream_at(f"http://127.0.0.1:{port}"), get())
            reasons.append(failed.value.reason)
        await client.close()
        assert failed.value.retry_after_s >= 1
        return reasons

    assert asyncio.run(play()) == ["unreachable"] * 5 + ["breaker"] * 2


def test_failing_answers_to_one_buyer_do_not_cut_off_the_others() -> None:
    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        for _ in range(10):
            with pytest.raises(UpstreamFailed) as failed:
                await client.fetch(upstream_at(server.url), get("/breaks"))
            assert failed.value.reason == "status"

    play_with_client(fixed(answer(b"", "500 x")), scenario)


def test_a_listing_id_is_part_of_what_a_credential_is_remembered_by() -> None:
    auth = {"kind": "header", "name": "X-Api-Key", "sealed": sealed("s3cret-key-1")}

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        await client.fetch(upstream_at(server.url, auth=auth), get())
        with pytest.raises(UpstreamFailed):
            await client.fetch(upstream_at(server.url, auth=auth, listing_id=LISTING + "b"), get())

    play_with_client(fixed(answer()), scenario)
