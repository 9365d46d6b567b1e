"""Large answers pass through a file without a name, as fast as the upstream gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.kernel.refusals import Outage
from app.metering.upstream import SpoolRoom, UpstreamBusy, UpstreamTimeout, spooling
from app.metering.upstream.spooling import Spool

ROOM = 1_000
SHARE = 900


class Giving:
    """The rest of an answer: the given pieces, then what it breaks off with, if anything."""

    def __init__(
        self, *pieces: bytes, told: int | None = None, breaks_with: BaseException | None = None
    ) -> None:
        self.size_bytes = told
        self.pieces = list(pieces)
        self.closed = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self._breaks_with = breaks_with

    async def piece(self) -> bytes:
        await self.go_on.wait()
        if self.pieces:
            return self.pieces.pop(0)
        if self._breaks_with is not None:
            raise self._breaks_with
        return b""

    async def close(self) -> None:
        self.closed = True


def play(tmp_path: Path, scenario: Callable[[SpoolRoom], Awaitable[Any]]) -> None:
    """Run `scenario`; afterwards all room is there again, and nothing lies in the folder."""

    async def run() -> None:
        room = SpoolRoom(tmp_path / "tmp", ROOM, SHARE)
        await scenario(room)
        assert (room._left_bytes, room._held_bytes) == (ROOM, {})
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert others == set(), "nothing goes on behind our back"

    asyncio.run(run())
    assert not list((tmp_path / "tmp").glob("*"))


async def read(spool: Spool) -> bytes:
    return b"".join([piece async for piece in spool.pieces()])


def test_a_body_goes_out_while_it_comes_and_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "PIECE_BYTES", 3)

    async def scenario(room: SpoolRoom) -> None:
        rest = Giving(b"efgh", b"ij", told=10)
        rest.go_on.clear()
        spool = await room.take(b"abcd", rest, ROOM)
        assert spool.size_bytes == 10
        pieces = spool.pieces()
        assert [await anext(pieces), await anext(pieces)] == [b"abc", b"d"]
        rest.go_on.set()
        assert b"".join([piece async for piece in pieces]) == b"efghij"
        assert rest.closed, "the provider's connection waits for no reader"
        assert not list((tmp_path / "tmp").iterdir()), "a kill leaves nothing behind"
        await spool.close()
        await spool.close()

    play(tmp_path, scenario)


def test_its_length_is_known_once_it_is_whole_and_an_upstream_waits_for_no_reader(
    tmp_path: Path,
) -> None:
    async def scenario(room: SpoolRoom) -> None:
        rest = Giving(*[b"x" * 10] * 9)
        spool = await room.take(b"y" * 10, rest, 200)
        assert spool.size_bytes is None
        assert room._left_bytes == ROOM - 200, "as much as it may become"
        assert await spool.whole() == spool.size_bytes == 100
        assert rest.closed
        assert await read(spool) == b"y" * 10 + b"x" * 90
        await spool.close()

    play(tmp_path, scenario)


def test_what_breaks_off_is_told_to_who_waits_and_to_who_reads(tmp_path: Path) -> None:
    async def scenario(room: SpoolRoom) -> None:
        for waits in (True, False):
            rest = Giving(b"cd", told=100, breaks_with=UpstreamTimeout())
            spool = await room.take(b"ab", rest, SHARE)
            got = b""
            with pytest.raises(UpstreamTimeout):
                if waits:
                    await spool.whole()
                async for piece in spool.pieces():
                    got += piece
            assert got == (b"" if waits else b"abcd")
            assert rest.closed
            await spool.close()

    play(tmp_path, scenario)


def test_a_bug_on_the_way_is_no_end_of_the_body(tmp_path: Path) -> None:
    async def scenario(room: SpoolRoom) -> None:
        spool = await room.take(b"ab", Giving(breaks_with=AssertionError()), SHARE)
        with pytest.raises(AssertionError):
            await read(spool)
        await spool.close()

    play(tmp_path, scenario)


def test_without_room_or_disk_there_is_no_answer_and_no_connection_is_kept(tmp_path: Path) -> None:
    async def scenario(room: SpoolRoom) -> None:
        rest = Giving(told=ROOM + 1)
        with pytest.raises(UpstreamBusy):
            await room.take(b"ab", rest, 10 * ROOM)
        assert rest.closed
        room._new_file = lambda: open("/dev/full", "wb", buffering=0)  # type: ignore[method-assign]  # noqa: SIM115  a disk that is full
        spool = await room.take(b"ab", Giving(), SHARE)
        with pytest.raises(Outage):
            await spool.whole()
        await spool.close()
        (tmp_path / "file").touch()
        rest = Giving()
        with pytest.raises(Outage):
            await SpoolRoom(tmp_path / "file").take(b"ab", rest, ROOM)
        assert rest.closed

    play(tmp_path, scenario)


def test_one_that_is_closed_early_lets_go_of_the_upstream(tmp_path: Path) -> None:
    async def scenario(room: SpoolRoom) -> None:
        rest = Giving(b"more")
        rest.go_on.clear()
        spool = await room.take(b"ab", rest, SHARE)
        waiting = asyncio.create_task(spool.whole())
        await asyncio.sleep(0)
        waiting.cancel()
        await spool.close()
        assert rest.closed
        await asyncio.gather(waiting, return_exceptions=True)

    play(tmp_path, scenario)


def test_a_reader_who_is_too_slow_gets_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    monkeypatch.setattr(spooling, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(spooling, "PIECE_BYTES", 10)

    async def scenario(room: SpoolRoom) -> None:
        spool = await room.take(b"x" * 100, Giving(), SHARE)
        await spool.whole()
        got = 0
        with pytest.raises(TimeoutError):
            async for piece in spool.pieces():
                got += len(piece)
                now_s[0] += 25.0
        assert got == 30
        await spool.close()

    play(tmp_path, scenario)


async def taken(
    room: SpoolRoom, holders: tuple[str, ...], size: int
) -> tuple[Spool | None, Giving]:
    """A spool of so much, if there is room for it."""
    rest = Giving(told=size)
    try:
        return await room.take(b"", rest, size, holders), rest
    except UpstreamBusy:
        return None, rest


def test_nobody_takes_more_of_the_room_than_a_share(tmp_path: Path) -> None:
    async def scenario(room: SpoolRoom) -> None:
        wanted = [(("prv", "buyer"), 400)] * 3 + [(("prv", "other"), 101), (("poor", "third"), 150)]
        # All at once: who waits for his file has his room already.
        found = await asyncio.gather(*(taken(room, *one) for one in wanted))
        assert [spool is not None for spool, _ in found] == [True, True, False, False, True]
        assert all(rest.closed for spool, rest in found if spool is None)
        for spool, _ in found:
            if spool is not None:
                await spool.close()

    play(tmp_path, scenario)


def test_one_whose_closing_is_cut_off_gives_its_room_back(tmp_path: Path) -> None:
    async def scenario(room: SpoolRoom) -> None:
        spool = await room.take(b"ab", Giving(told=10), 10, ("prv",))
        closing = asyncio.create_task(spool.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing, spool._filling])

    play(tmp_path, scenario)
