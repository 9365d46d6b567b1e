"""Bodies are read for who may call, in bounded memory: nobody's keep out anybody else's."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from app.db.installation import Installation
from app.http.problems import TooLarge
from app.kernel.refusals import Malformed, Outage
from app.metering.errors import BodyTooSlow, RateLimited
from app.metering.gateway import bodies
from app.metering.gateway.bodies import (
    BUYER_SHARE_BYTES,
    LEAST_BYTES,
    PROVIDER_SHARE_BYTES,
    ROOM_BYTES,
    BodyRoom,
)
from app.metering.gateway.proxying import HELD_MAX_BYTES
from app.metering.grants import CompiledGrant, compiled_from
from app.metering.upstream import UpstreamBusy
from tests.metering.asking import API, Asking
from tests.metering.gateway_client import Answer, Caller, check_problem, in_pieces, never
from tests.metering.grant_documents import grant_document, quota
from tests.metering.upstream.raw_server import answer

MAX_BYTES = 1_000_000
POSTS = {"methods": ["POST"]}
ALL_OF_A_SHARE = BUYER_SHARE_BYTES // (MAX_BYTES + LEAST_BYTES)

Receive = Callable[[], Awaitable[Any]]


async def refuse_to_read() -> Any:
    raise AssertionError("nothing of the body is needed")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a POST with its body (of five bytes, here)."""
    # It closes: a POST on a connection that is just being closed is not sent again.
    writer.write(answer(await reader.readexactly(5), "200 OK", "Connection: close"))
    await writer.drain()


async def post(caller: Caller, receive: Receive, key: str | None = None) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return (await caller.sent("POST", f"{API}/x", headers=headers, receive=receive))[0]["status"]


# Who is refused without one byte being read


def test_the_body_of_a_call_that_has_no_room_is_not_read(installation: Installation) -> None:
    asked = Asking(installation, echo, upstream=POSTS, windows=[quota("contract", 1)])

    async def story(caller: Caller) -> None:
        assert await post(caller, in_pieces(b"order"), "one") == 200
        assert await post(caller, refuse_to_read) == 429
        assert await post(caller, refuse_to_read, "two") == 429
        # A repeat needs no room, and whether it is one is told by its body.
        assert await post(caller, in_pieces(b"order"), "one") == 200
        assert await post(caller, in_pieces(b"other"), "one") == 422

    asked.play(story)
    assert len(asked.server.heads) == 2
    assert [event.units for event in asked.events()] == [1]


@pytest.mark.parametrize("key", [None, "one"])
def test_a_call_with_a_body_takes_its_turn_by_the_rate_once_and_before_it_is_read(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    stopped = SimpleNamespace(monotonic=lambda: 5.0)
    monkeypatch.setattr("app.metering.gateway.admission.time", stopped)
    asked = Asking(installation, echo, upstream=POSTS, rate={"per_second": 1, "burst": 2})

    async def story(caller: Caller) -> None:
        for _ in range(2):
            assert await post(caller, in_pieces(b"order"), key) == 200
        assert await post(caller, refuse_to_read, key) == 429

    asked.play(story)
    assert len(asked.server.heads) == 2


# What changes while a body comes


@pytest.mark.parametrize(
    ("change", "status"), [("suspended", 403), ("ended", 401), ("used up", 429), ("nothing", 200)]
)
def test_what_changed_while_the_body_came_is_asked_anew(
    installation: Installation, change: str, status: int
) -> None:
    asked = Asking(installation, echo, upstream=POSTS, windows=[quota("contract", 1)])

    async def story(caller: Caller) -> None:
        whole = in_pieces(b"order")

        async def receive() -> Any:
            message = await whole()
            if not message["more_body"]:
                await happens(caller)
            return message

        assert await post(caller, receive) == status

    async def happens(caller: Caller) -> None:
        if change == "suspended":
            await asyncio.to_thread(asked.give, epoch=2, live=False, reason="suspended")
            await caller.gateway.watcher.look()
        elif change == "ended":
            principals = caller.gateway._principals
            (principal,) = principals._known.values()
            principals.end(principal.subjects)
        elif change == "used up":
            assert await post(caller, in_pieces(b"first")) == 200

    asked.play(story)
    assert len(asked.server.heads) == (1 if change in {"used up", "nothing"} else 0)


# Room


def grant_of(buyer: str = "org_buyer", provider: str = "org_provider") -> CompiledGrant:
    return compiled_from({**grant_document(), "buyer_id": buyer, "provider_id": provider})


class Sender:
    """Buyers who send bodies into one room."""

    def __init__(self, stack: AsyncExitStack, room: BodyRoom) -> None:
        self._stack = stack
        self.room = room

    async def send(self, receive: Receive, told: int | None = None, **whose: str) -> bytes:
        """A body, which is held until the test ends."""
        headers = [] if told is None else [(b"content-length", b"%d" % told)]
        reading = self.room.read(receive, headers, grant_of(**whose))
        return await self._stack.enter_async_context(reading)

    async def fill(self, times: int, **whose: str) -> None:
        for _ in range(times):
            await self.send(in_pieces(b"x" * MAX_BYTES), **whose)


def play(story: Callable[[Sender], Awaitable[None]], max_bytes: int = MAX_BYTES) -> None:
    async def run() -> None:
        room = BodyRoom(max_bytes)
        before = room._room.left_bytes
        async with AsyncExitStack() as stack:
            await story(Sender(stack, room))
        assert room._room.left_bytes == before, "all of it is given back"

    asyncio.run(run())


@pytest.mark.parametrize("told", [None, MAX_BYTES])
def test_a_buyer_who_holds_a_share_is_told_so_and_keeps_nobody_out(told: int | None) -> None:
    async def story(one: Sender) -> None:
        await one.fill(ALL_OF_A_SHARE)
        if told is not None:
            with pytest.raises(RateLimited):
                await one.send(refuse_to_read, told)
        with pytest.raises(RateLimited) as refused:
            await one.send(in_pieces(b"x" * MAX_BYTES))
        assert refused.value.headers["retry-after"] == "1"
        await one.fill(ALL_OF_A_SHARE, buyer="org_other", provider="org_other_provider")

    play(story)


def test_bodies_that_wait_for_one_provider_keep_no_other_out() -> None:
    async def story(one: Sender) -> None:
        for number in range(PROVIDER_SHARE_BYTES // BUYER_SHARE_BYTES):
            await one.fill(ALL_OF_A_SHARE, buyer=f"org_{number}")
        with pytest.raises(UpstreamBusy):
            await one.fill(5, buyer="org_other")
        await one.fill(5, buyer="org_other", provider="org_other_provider")

    play(story)


def test_a_process_holds_so_much_and_no_more() -> None:
    async def story(one: Sender) -> None:
        with pytest.raises(Outage) as away:
            for number in range(ROOM_BYTES // BUYER_SHARE_BYTES + 1):
                await one.fill(ALL_OF_A_SHARE, buyer=f"org_{number}", provider=f"prv_{number}")
        assert not isinstance(away.value, UpstreamBusy)

    play(story)


def test_a_buyer_has_a_bounded_number_of_calls_however_small_their_bodies() -> None:
    most = BUYER_SHARE_BYTES // LEAST_BYTES

    async def story(one: Sender) -> None:
        with pytest.raises(RateLimited):
            for _ in range(most + 1):
                assert await one.send(in_pieces(b"")) == b""
        assert one.room._room.left_bytes == ROOM_BYTES - most * LEAST_BYTES

    play(story)


def test_a_server_that_takes_larger_bodies_has_room_for_them() -> None:
    async def story(one: Sender) -> None:
        assert len(await one.send(in_pieces(b"x" * 60_000_000), 60_000_000)) == 60_000_000

    play(story, max_bytes=60_000_000)


def test_what_is_refused_or_left_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SENDER_GRACE_S", 0.01)

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def story(one: Sender) -> None:
        for receive, refusal in (
            (gone, Malformed),
            (never, BodyTooSlow),
            (in_pieces(b"x" * (MAX_BYTES + 1)), TooLarge),
        ):
            with pytest.raises(refusal):
                await one.send(receive)
        with pytest.raises(TooLarge):
            await one.send(refuse_to_read, MAX_BYTES + 1)
        monkeypatch.setattr(bodies, "SENDER_GRACE_S", 60.0)
        left = asyncio.create_task(one.send(never, MAX_BYTES))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        assert one.room._room.left_bytes == ROOM_BYTES

    play(story)


@pytest.mark.parametrize(("min_bytes_s", "is_whole"), [(1e9, False), (1e-9, True)])
def test_who_sends_slowly_is_waited_for_by_what_has_come(
    monkeypatch: pytest.MonkeyPatch, min_bytes_s: float, is_whole: bool
) -> None:
    monkeypatch.setattr(bodies, "SENDER_GRACE_S", 0.02)
    monkeypatch.setattr(bodies, "SENDER_MIN_BYTES_S", min_bytes_s)
    pieces, piece = 100, b"x" * 10_000
    left = pieces

    async def trickle() -> Any:
        nonlocal left
        await asyncio.sleep(0.001)
        left -= 1
        return {"type": "http.request", "body": piece, "more_body": left > 0}

    async def story(one: Sender) -> None:
        if is_whole:
            assert await one.send(trickle) == pieces * piece
        else:
            with pytest.raises(BodyTooSlow):
                await one.send(trickle)

    play(story)


def test_a_body_in_many_pieces_takes_no_more_memory_than_in_one() -> None:
    pieces = MAX_BYTES // 10

    async def story(one: Sender) -> None:
        left = pieces

        async def crumbs() -> Any:
            nonlocal left
            left -= 1
            return {"type": "http.request", "body": b"%10d" % left, "more_body": left > 0}

        tracemalloc.start()
        assert len(await one.send(crumbs)) == MAX_BYTES
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * MAX_BYTES

    play(story)


def test_a_body_is_let_go_of_before_its_answer_goes_out(installation: Installation) -> None:
    large = answer(b"x" * (2 * HELD_MAX_BYTES))
    asked = Asking(
        installation, large, upstream={**POSTS, "body_max_bytes": 4 * HELD_MAX_BYTES}, windows=[]
    )

    async def story(caller: Caller) -> None:
        left: list[int] = []
        room = caller.gateway._bodies._room

        async def receive() -> Any:
            left.append(room.left_bytes)
            return {"type": "http.request", "body": b"x" * MAX_BYTES, "more_body": False}

        sent = in_turn(receive)
        await caller.sent(
            "POST", f"{API}/x", receive=sent, before_body=lambda: left.append(room.left_bytes)
        )
        assert left == [ROOM_BYTES - LEAST_BYTES, ROOM_BYTES]

    asked.play(story)


def in_turn(first: Receive) -> Receive:
    """`first` once; after that the buyer stays on the line."""
    turns = [first]

    async def receive() -> Any:
        return await (turns.pop()() if turns else never())

    return receive


def test_a_buyer_whose_slow_uploads_hold_a_share_may_send_when_one_of_them_ends(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asking(installation, echo, upstream=POSTS)
    got: list[Answer] = []

    async def story(caller: Caller) -> None:
        monkeypatch.setattr(caller.gateway._bodies, "_buyer_share_bytes", 2 * LEAST_BYTES + 10)
        slow = [asyncio.create_task(post(caller, never)) for _ in range(2)]
        while caller.gateway._bodies._room.left_bytes > ROOM_BYTES - 2 * LEAST_BYTES:
            await asyncio.sleep(0.001)
        got.append(await caller.call("POST", f"{API}/x", body=b"order"))
        slow[0].cancel()
        await asyncio.wait([slow[0]])
        got.append(await caller.call("POST", f"{API}/x", body=b"order"))
        slow[1].cancel()

    asked.play(story)
    check_problem(got[0], 429, "rate-limited")
    assert got[0].headers["retry-after"] == "1"
    assert (got[1].status, got[1].body) == (200, b"order")
