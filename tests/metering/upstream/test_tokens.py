"""Access tokens for an upstream: asked for once, kept, renewed in time, never shown."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from app.metering.upstream import (
    UpstreamAnswer,
    UpstreamClient,
    UpstreamFailed,
    UpstreamRequest,
    UpstreamTimeout,
    tokens,
)
from tests.metering.upstream.calling import headers_of
from tests.metering.upstream.oauth_provider import SECRET, OAuthProvider, play
from tests.metering.upstream.raw_server import answer, get

POST = UpstreamRequest("POST", b"/orders", body=b"{}")


def test_a_token_is_asked_for_once_and_serves_every_call_of_its_life() -> None:
    provider = OAuthProvider()

    async def scenario(client: UpstreamClient) -> None:
        calls = [client.fetch(provider.upstream(), get()) for _ in range(20)]
        assert {got.body for got in await asyncio.gather(*calls)} == {b"data"}
        await client.fetch(provider.upstream(), POST)

    play(provider, scenario)
    assert provider.taken == ["token-1"] * 21
    assert provider.forms == [b"grant_type=client_credentials&scope=read+write"]
    asked = headers_of(provider.server.heads[0])
    pair = base64.b64decode(asked["authorization"].removeprefix("Basic ")).decode()
    assert pair == "zhigu+client:s3cret%3Aof%2Fzhigu", "form-encoded: RFC 6749 §2.3.1"
    assert all(SECRET.encode() not in head for head in provider.server.heads)


def test_a_token_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    provider = OAuthProvider(life_s=600)

    async def scenario(client: UpstreamClient) -> None:
        for moment in (1000.0, 1569.0, 1571.0):
            now_s[0] = moment
            await client.fetch(provider.upstream(), get())

    play(provider, scenario)
    assert provider.taken == ["token-1", "token-1", "token-2"]


def test_while_the_token_endpoint_is_away_a_token_goes_on_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    provider = OAuthProvider(life_s=600)

    async def scenario(client: UpstreamClient) -> None:
        await client.fetch(provider.upstream(), get())
        provider.token_answer = answer(b"", "503 x")
        now_s[0] = 1590.0
        await client.fetch(provider.upstream(), get())
        now_s[0] = 1600.0
        with pytest.raises(UpstreamFailed) as failed:
            await client.fetch(provider.upstream(), get())
        assert failed.value.reason == "token"

    play(provider, scenario)
    assert provider.taken == ["token-1", "token-1"]


def test_a_token_that_is_turned_down_is_renewed_once_for_all_calls() -> None:
    provider = OAuthProvider()

    async def scenario(client: UpstreamClient) -> None:
        await client.fetch(provider.upstream(), get())
        provider.good = {"token-2"}
        calls = [client.fetch(provider.upstream(), get()) for _ in range(5)]
        assert {got.body for got in await asyncio.gather(*calls)} == {b"data"}

    play(provider, scenario)
    assert provider.given == 2


def test_an_upstream_that_turns_down_every_token_is_asked_twice_and_fails() -> None:
    provider = OAuthProvider(good=set())
    failed = failure_of(provider)
    assert (failed.reason, failed.facts) == ("credential", {"upstream_status": 401})
    assert (provider.given, len(provider.taken)) == (2, 2)


def test_a_buyer_who_is_turned_down_again_and_again_costs_nobody_else_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    provider = OAuthProvider(good=set())

    async def scenario(client: UpstreamClient) -> None:
        for _ in range(5):
            with pytest.raises(UpstreamFailed):
                await client.fetch(provider.upstream(), get())
        assert provider.given == 2
        now_s[0] += tokens.TURNED_DOWN_EVERY_S
        provider.good = {"token-3"}
        await client.fetch(provider.upstream(), get())

    play(provider, scenario)
    assert provider.taken == ["token-1"] + ["token-2"] * 6 + ["token-3"]


def test_a_post_is_not_sent_again_with_a_new_token_but_the_next_call_has_one() -> None:
    provider = OAuthProvider()

    async def scenario(client: UpstreamClient) -> None:
        await client.fetch(provider.upstream(), get())
        provider.good = {"token-2"}
        with pytest.raises(UpstreamFailed):
            await client.fetch(provider.upstream(), POST)
        await client.fetch(provider.upstream(), POST)

    play(provider, scenario)
    assert provider.taken == ["token-1", "token-1", "token-2"]
    assert provider.bodies == [b"", b"{}", b"{}"]


def failure_of(provider: OAuthProvider, **changes: Any) -> UpstreamFailed:
    async def scenario(client: UpstreamClient) -> UpstreamFailed:
        with pytest.raises(UpstreamFailed) as failed:
            await client.fetch(provider.upstream(**changes), get())
        return failed.value

    found: UpstreamFailed = play(provider, scenario)
    assert (found.status, found.slug) == (502, "upstream-failed")
    assert SECRET not in f"{found.detail} {found.facts}"
    return found


@pytest.mark.parametrize(
    "told",
    [
        answer(b'{"error":"invalid_client"}', "401 x"),
        answer(b"", "302 x", "Location: http://127.0.0.1/token"),
        answer(b"not json"),
        answer(b'{"access_token":"t"}'),
        answer(b'{"access_token":"t","token_type":"mac"}'),
        answer(b'{"access_token":"a b","token_type":"bearer"}'),
        answer(b'{"access_token":"a\\r\\nX: y","token_type":"bearer"}'),
        answer(b'{"access_token":"t","token_type":"bearer","expires_in":0}'),
        answer(b'{"access_token":"t","token_type":"bearer","expires_in":"nan"}'),
        answer(b'{"access_token":"t","token_type":"bearer","x":"%s"}' % (b"x" * 70_000)),
        b"",
    ],
    ids=lambda told: repr(told[-60:]),
)
def test_a_token_endpoint_that_gives_none_is_a_failed_upstream(told: bytes) -> None:
    provider = OAuthProvider(token_answer=told)
    assert failure_of(provider).reason == "token"
    assert provider.taken == []


def test_a_failing_token_endpoint_is_not_asked_by_every_waiting_call() -> None:
    provider = OAuthProvider(token_answer=answer(b"", "500 x"), token_wait_s=0.02)

    async def scenario(client: UpstreamClient) -> None:
        calls = [client.fetch(provider.upstream(), get()) for _ in range(20)]
        got = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, UpstreamFailed) for one in got)

    play(provider, scenario)
    assert provider.given == 1


def test_a_token_endpoint_that_hangs_holds_up_no_call_beyond_its_deadline() -> None:
    provider = OAuthProvider(token_wait_s=60)

    async def scenario(client: UpstreamClient) -> None:
        upstream = provider.upstream(timeout_s=0.2)
        calls = [client.fetch(upstream, get()) for _ in range(5)]
        got = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, UpstreamFailed | UpstreamTimeout) for one in got)

    play(provider, scenario)
    assert provider.given == 1


def test_a_token_endpoint_at_a_private_address_gets_no_secret() -> None:
    provider = OAuthProvider()

    async def scenario(client: UpstreamClient) -> None:
        upstream = provider.upstream()
        denied = replace(upstream.credential, token_url="http://127.0.0.1:1/token")
        with pytest.raises(UpstreamFailed) as failed:
            await client.fetch(replace(upstream, credential=denied), get())
        assert failed.value.reason == "address"

    play(provider, scenario)
    assert provider.server.heads == []


def test_neither_token_nor_secret_is_echoed_to_the_buyer() -> None:
    for echoed in (b"your token is token-11", SECRET.encode()):

        class Echoing(OAuthProvider):
            def _api(self, token: str, body: bytes, echoed: bytes = echoed) -> bytes:
                return answer(b"x" * 1000 + echoed)

        provider = Echoing(
            token_answer=answer(b'{"access_token":"token-11","token_type":"Bearer"}')
        )
        assert failure_of(provider).reason == "echo"


def test_an_answer_comes_as_it_would_without_a_token() -> None:
    provider = OAuthProvider()

    async def scenario(client: UpstreamClient) -> None:
        assert await client.fetch(provider.upstream(), get()) == UpstreamAnswer(200, (), b"data")

    play(provider, scenario)
