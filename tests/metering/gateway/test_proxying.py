"""What a buyer gets and pays for, by how a call to a provider's API ends; and calls with a body."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.gateway import bodies
from app.metering.gateway.proxy_policy import POLICY
from app.metering.gateway.proxying import HELD_MAX_BYTES
from app.metering.tables import usage_window
from app.metering.upstream.spooling import ROOM_BYTES
from tests.metering.asking import API, SECRET, Asking
from tests.metering.gateway_client import Answer, Caller, check_problem, in_pieces
from tests.metering.grant_documents import quota
from tests.metering.upstream.calling import headers_of
from tests.metering.upstream.raw_server import RawServer, answer

OK = b"HTTP/1.1 200 OK\r\n"
LARGE = 2 * HELD_MAX_BYTES
CAP = 2 * LARGE


class Upstream:
    """Behaves as the last part of the path says."""

    def __init__(self) -> None:
        self.server: RawServer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = self.server.heads[-1].split()[1].decode()
        for piece in self._pieces(path.rpartition("/")[2]):
            writer.write(piece)
            await writer.drain()
        if path.endswith("slow"):
            await asyncio.sleep(60)
        elif "over" in path:
            await reader.read()  # to hang up is for whoever has had too much

    def _pieces(self, name: str) -> list[bytes]:
        if name.isdigit():
            return [answer(b"said", f"{name} x", "Location: /data")]
        told = OK + b"Content-Length: %d\r\n\r\n" % LARGE
        chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        return {
            "good": [answer(b"data")],
            "broken": [OK + b"Content-Length: 5\r\n\r\nda"],
            "echo": [answer(SECRET.encode())],
            "over": [OK + b"Content-Length: %d\r\n\r\n" % (CAP + 1)],
            "over-untold": [chunked] + [chunk] * (CAP // 65_536 + 1),
            "slow": [OK + b"Content-Length: 5\r\n\r\nda"],
            "large": [told, b"x" * LARGE],
            "large-untold": [chunked] + [chunk] * (LARGE // 65_536) + [b"0\r\n\r\n"],
            "breaks": [told, b"x" * (LARGE - 1)],
            "echoes-late": [told, b"x" * (LARGE - 12) + SECRET.encode()],
        }[name]


def asking(installation: Installation, **changes: Any) -> Asking:
    """Calls to an upstream that misbehaves on demand; the grants `down`, `slow` and `bytes` too."""
    upstream = Upstream()
    found = Asking(installation, upstream, upstream={"body_max_bytes": CAP}, **changes)
    upstream.server = found.server
    return found


def used(installation: Installation, grant_id: str = "grt_one") -> int:
    statement = sa.select(usage_window.c.used_units).where(usage_window.c.grant_id == grant_id)
    with installation.usage.connect() as connection:
        return sum(connection.execute(statement).scalars())


class Endings:
    """One check for each row of the policy; each counts in the same grant."""

    def __init__(self, asked: Asking, caller: Caller, installation: Installation) -> None:
        self._asked = asked
        self._caller = caller
        self._installation = installation
        self._used = 0

    async def passed(self, name: str, status: int, body: bytes) -> None:
        got = await self._caller.get(f"{API}/{name}")
        assert (got.status, got.body) == (status, body), name

    async def failed(self, name: str, status: int, slug: str, of: str = "world-gdp") -> None:
        got = await self._caller.get(f"/data/{of}/api/{name}")
        check_problem(got, status, slug)
        assert SECRET.encode() not in got.body

    def counted(self, units: int) -> None:
        """Since the last time, `units` more are used."""
        now = used(self._installation)
        assert now - self._used == units
        self._used = now

    async def cut_short(self, name: str, receive: Any = None, before_body: Any = None) -> None:
        start, *pieces = await self._caller.sent(
            "GET", f"{API}/{name}", before_body=before_body, receive=receive
        )
        assert start["status"] == 200
        assert all(piece["more_body"] for piece in pieces), "it does not look whole"
        assert sum(len(piece["body"]) for piece in pieces) < LARGE
        assert all(SECRET.encode() not in piece["body"] for piece in pieces)
        await asyncio.sleep(0)


async def _whole(one: Endings) -> None:
    await one.passed("good", 200, b"data")
    one.counted(1)


async def _refused_by_provider(one: Endings) -> None:
    for status in (400, 404, 429):
        await one.passed(str(status), status, b"said")
    one.counted(0)


async def _no_answer_for_buyers(one: Endings) -> None:
    for status in (101, 302, 401, 407, 500, 503):
        await one.failed(str(status), 502, "upstream-failed")
    one.counted(0)


async def _no_connection(one: Endings) -> None:
    await one.failed("good", 502, "upstream-failed", of="down")


async def _broken(one: Endings) -> None:
    await one.failed("broken", 502, "upstream-failed")
    one.counted(0)


async def _echo(one: Endings) -> None:
    await one.failed("echo", 502, "upstream-failed")
    one.counted(0)


async def _too_large(one: Endings) -> None:
    for name in ("over", "over-untold"):
        await one.failed(name, 502, "upstream-too-large")
    one.counted(0)


async def _too_slow(one: Endings) -> None:
    await one.failed("slow", 504, "upstream-timeout", of="slow")


async def _breaks_off(one: Endings) -> None:
    for name in ("breaks", "echoes-late"):
        await one.cut_short(name)
    one.counted(0)
    kinds = [event.kind for event in one._asked.events()][-4:]
    assert kinds == ["posted", "void"] * 2


async def _hangs_up(one: Endings) -> None:
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    await one.cut_short("large", receive, gone.set)
    one.counted(1)


async def _more_than_the_quota(one: Endings) -> None:
    for name in ("good", "large", "large-untold"):
        await one.failed(name, 429, "quota-exhausted", of="bytes")


CHECKS: dict[str, Callable[[Endings], Awaitable[None]]] = {
    row.how: check
    for row, check in zip(
        POLICY,
        (
            _whole,
            _refused_by_provider,
            _no_answer_for_buyers,
            _no_connection,
            _broken,
            _echo,
            _too_large,
            _too_slow,
            _breaks_off,
            _hangs_up,
            _more_than_the_quota,
        ),
        strict=True,
    )
}


def test_every_ending_of_the_policy_costs_what_it_says(installation: Installation) -> None:
    asked = asking(installation, windows=[quota("contract", 100)])

    async def story(caller: Caller) -> None:
        one = Endings(asked, caller, installation)
        for how, check in CHECKS.items():
            try:
                await check(one)
            except AssertionError as error:
                raise AssertionError(how) from error
        for grant_id in ("grt_down", "grt_slow", "grt_bytes"):
            assert used(installation, grant_id) == 0
        in_flight = [opened.in_flight_units for opened in caller.gateway._grants._by_id.values()]
        assert in_flight == [0] * 4, "nothing is held after a failure"
        pool = caller.gateway._fetcher._proxy._client._pools._pools["org_provider"]
        assert pool.calls == 0
        assert not pool.session.connector._acquired, "and no socket"
        assert caller.gateway._fetcher._proxy._room._left_bytes == ROOM_BYTES, "nor any room"

    asked.gives = [
        ("grt_down", {"slug": "down", "upstream": {"base_url": "http://127.0.0.1:1"}}),
        ("grt_slow", {"slug": "slow", "upstream": {"timeout_s": 0.4}}),
        ("grt_bytes", {"slug": "bytes", "meter": "byte", "windows": [quota("contract", 3)]}),
    ]
    asked.play(story)


def test_a_large_answer_comes_whole_and_is_counted_by_its_real_size(
    installation: Installation,
) -> None:
    asked = asking(installation, windows=[quota("contract", 100)])
    got: list[Answer] = []

    async def story(caller: Caller) -> None:
        for slug in ("world-gdp", "bytes"):
            for name in ("large", "large-untold"):
                got.append(await caller.get(f"/data/{slug}/api/{name}"))

    asked.gives = [("grt_bytes", {"slug": "bytes", "meter": "byte", "windows": []})]
    asked.play(story)
    assert [(one.status, one.body == b"x" * LARGE) for one in got] == [(200, True)] * 4
    assert [one.headers["content-length"] for one in got] == [str(LARGE)] * 4
    assert [event.units for event in asked.events()] == [1, 1]
    assert [event.units for event in asked.events("grt_bytes")] == [LARGE, LARGE]
    assert {event.bytes for event in asked.events()} == {LARGE}
    assert not list((installation.settings.home / "tmp").iterdir())


# Calls with a body


async def echo_of_posts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a POST with its body (of five bytes, here)."""
    # It closes: a POST on a connection that is just being closed is not sent again.
    writer.write(answer(await reader.readexactly(5), "200 OK", "Connection: close"))
    await writer.drain()


POSTS = {"methods": ["POST"]}


def test_a_post_reaches_the_provider_and_its_body_is_part_of_its_key(
    installation: Installation,
) -> None:
    asked = Asking(installation, echo_of_posts, upstream=POSTS, windows=[quota("contract", 2)])
    got: list[Answer] = []

    async def story(caller: Caller) -> None:
        headers = {"idempotency-key": "one", "content-type": "text/x-own"}
        for body in (b"first", b"first", b"other"):
            got.append(await caller.call("POST", f"{API}/x", headers=headers, body=body))

    asked.play(story)
    assert [one.status for one in got] == [200, 200, 422]
    assert [one.body for one in got[:2]] == [b"first", b"first"]
    assert got[2].slug == "idempotency-key-reused"
    told = [headers_of(head) for head in asked.server.heads]
    derived = hashlib.sha256(b"grt_one one").hexdigest()
    assert [one["idempotency-key"] for one in told] == [derived] * 2
    assert told[0]["content-type"] == "text/x-own"
    assert [event.units for event in asked.events()] == [1]


def test_a_body_is_not_read_for_who_may_not_post_nor_beyond_its_bounds(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SENDER_GRACE_S", 0.1)
    asked = Asking(installation, echo_of_posts, upstream=POSTS)
    largest = installation.settings.body_max_bytes

    async def refuse_to_read() -> Any:
        raise AssertionError("nothing of the body is needed")

    async def hang_up() -> Any:
        return {"type": "http.disconnect"}

    async def story(caller: Caller) -> None:
        async def problem(path: str, receive: Any, **headers: str) -> Any:
            start, _ = await caller.sent(
                "POST", path, headers.pop("token", "org_buyer"), headers, receive=receive
            )
            return start["status"]

        length = {"content_length": str(largest + 1)}
        assert await problem(f"{API}/x", refuse_to_read, token="bad") == 401
        assert await problem(f"{API}/x", refuse_to_read, token="org_other") in {403, 404}
        assert await problem("/data/gets/api/x", refuse_to_read) == 405
        assert await problem("/data/world-gdp/rows", refuse_to_read) == 403
        assert await problem(f"{API}/x", refuse_to_read, **length) == 413
        assert await problem(f"{API}/x", in_pieces(b"x" * (largest + 1))) == 413
        assert await problem(f"{API}/x", hang_up) == 400
        got = await caller.call("POST", f"{API}/x", body=None)
        check_problem(got, 408, "body-too-slow")

    asked.gives = [("grt_gets", {"slug": "gets", "upstream": {"methods": ["GET"]}})]
    asked.play(story)
    assert asked.server.heads == []
    assert asked.events() == []


def test_a_post_whose_contract_changes_meanwhile_is_neither_counted_nor_sent_again(
    installation: Installation,
) -> None:
    async def change_and_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(asked.give, epoch=2)
        await echo_of_posts(reader, writer)

    asked = Asking(installation, change_and_answer, upstream=POSTS)
    (got,) = asked.calls("/x", "POST", 1, body=b"order")
    check_problem(got, 503, "unavailable")
    assert "not known" in got.json["detail"]
    assert len(asked.server.heads) == 1
    assert asked.events() == []
