"""Calls to an upstream on loopback that behaves: what goes out, what comes back, what is kept."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from dataclasses import replace

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
from tests.metering.upstream.calling import call, hang, headers_of, play_with_client
from tests.metering.upstream.raw_server import (
    BODY_MAX_BYTES,
    KEYS,
    RawServer,
    answer,
    fixed,
    get,
    loopback_at,
    serving,
    upstream_at,
)


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


def test_an_upstream_that_is_down_fails() -> None:
    async def play() -> str:
        async with serving(hang) as server:
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
    assert (refused.value.status, refused.value.headers) == (405, {"Allow": "GET, HEAD"})


async def echo_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with whatever body comes until there is a pause."""
    body = b""
    with suppress(TimeoutError):
        while True:
            body += await asyncio.wait_for(reader.read(65_536), 0.3)
    writer.write(answer(body))
    await writer.drain()


@pytest.mark.parametrize("body", [b"", b'{"a":1}', bytes(range(256)) * 4_000])
def test_a_post_goes_out_with_its_body_as_it_came(body: bytes) -> None:
    pairs = [
        (b"content-type", b"application/x-own"),
        (b"content-encoding", b"gzip"),
        (b"idempotency-key", b"the buyer's own"),
    ]
    for headers in (tuple(pairs), ()):
        request = UpstreamRequest("POST", b"/rows", b"", headers, body, "repeat-1")
        got, server = call(echo_of, request, methods=["POST"], body_max_bytes=2_000_000)
        assert got.body == body
        told = headers_of(server.heads[0])
        assert server.heads[0].startswith(b"POST /base/rows HTTP/1.1\r\n")
        assert told["content-length"] == str(len(body))
        assert told["idempotency-key"] == "repeat-1"
        assert told.get("content-type") == ("application/x-own" if headers else None)
        assert told.get("content-encoding") == ("gzip" if headers else None)


def test_a_post_is_never_sent_twice_even_on_a_connection_that_was_closed_under_it() -> None:
    async def close_after_the_first(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readexactly(4)
        posts.append(1)
        if len(posts) == 1:
            writer.write(answer(b"x"))
            await writer.drain()
        else:
            writer.transport.abort()
            raise ConnectionError

    posts: list[int] = []
    request = UpstreamRequest("POST", b"/rows", body=b"body")

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstream = upstream_at(server.url, methods=["POST"])
        await client.fetch(upstream, request)
        with pytest.raises(UpstreamFailed) as failed:
            await client.fetch(upstream, request)
        assert failed.value.reason == "broken"
        assert len(posts) == 2

    play_with_client(close_after_the_first, scenario)


def test_a_path_that_climbs_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(PathRefused):
        call(answer(), get("/../admin"))


def test_a_loop_through_ourselves_is_cut() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        call(answer(), get(via="1.1 zhigu, 1.1 zhigu, 1.1 zhigu"))
    assert failed.value.reason == "loop"
    _, server = call(answer(), get(via="1.1 proxy, 1.1 zhigu"))
    assert headers_of(server.heads[0])["via"] == "1.1 zhigu, 1.1 zhigu"


def test_a_connection_is_kept_for_the_next_call_but_not_after_a_broken_one() -> None:
    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        for _ in range(3):
            await client.fetch(upstream_at(server.url, body_max_bytes=5_000_000), get())
        assert server.connections == 1
        with pytest.raises(UpstreamTooLarge):
            await client.fetch(upstream_at(server.url, body_max_bytes=1), get())
        await client.fetch(upstream_at(server.url, body_max_bytes=5_000_000), get())
        assert server.connections == 2

    play_with_client(fixed(answer(b"x" * 500_000)), scenario)


def test_two_providers_never_share_a_connection() -> None:
    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstream = upstream_at(server.url)
        other = replace(upstream, provider_id="org_other")
        await client.fetch(upstream, get())
        await client.fetch(other, get())
        assert server.connections == 2

    play_with_client(fixed(answer()), scenario)


def test_pools_of_providers_that_are_not_in_use_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_module, "POOLS_MAX", 2)

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstream = upstream_at(server.url)
        for number in (1, 2, 3, 1):
            copy = replace(upstream, provider_id=f"org_{number}")
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

    play_with_client(hang, scenario)


def test_an_unreachable_upstream_is_left_alone_after_a_few_calls() -> None:
    async def play() -> list[str]:
        async with serving(hang) as server:
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


def test_a_call_under_way_keeps_its_pool_when_another_provider_needs_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools_module, "POOLS_MAX", 1)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(answer(b"whole"))
        await writer.drain()

    async def scenario(client: UpstreamClient, server: RawServer) -> None:
        upstreams = [replace(upstream_at(server.url), provider_id=f"org_{n}") for n in range(4)]
        calls = [client.fetch(upstream, get()) for upstream in upstreams * 2]
        assert {got.body for got in await asyncio.gather(*calls)} == {b"whole"}

    play_with_client(slowly, scenario)
