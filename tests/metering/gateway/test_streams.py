"""Bodies sent piece by piece: whole, cut short by their source, or left by their reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.kernel.refusals import Outage
from app.metering.gateway import holding, streams
from app.metering.gateway.admission import OpenGrant
from app.metering.gateway.answering import send_data
from app.metering.gateway.fetched import Fetched
from app.metering.gateway.holding import PIECE_BYTES, HoldingRoom
from app.metering.gateway.streams import send_pieces
from app.metering.grants import compiled_from
from tests.metering.grant_documents import grant_document


class Pieces:
    """A stream of ten pieces that may break off, and knows whether it was closed."""

    def __init__(self, breaks_at: int | None = None, breaks_with: Exception | None = None) -> None:
        self._breaks_with = breaks_with or Outage("The source broke off.")
        self.size_bytes = None
        self.given = 0
        self.closed = False
        self._breaks_at = breaks_at

    async def pieces(self) -> AsyncGenerator[bytes]:
        for number in range(10):
            if number == self._breaks_at:
                raise self._breaks_with
            self.given += 1
            yield b"%d" % number
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.closed = True


class Line:
    """What stands between us and a reader: `takes` pieces, then it hangs up or just takes none."""

    def __init__(self, takes: int = 99, *, stalls: bool = False) -> None:
        self.sent: list[Any] = []
        self._takes = takes
        self._stalls = stalls
        self._gone = asyncio.Event()

    async def send(self, message: Any) -> None:
        if len(self.sent) < self._takes:
            self.sent.append(message)
        elif self._stalls:
            await asyncio.sleep(3600)
        else:
            self._gone.set()

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent)

    @property
    def is_finished(self) -> bool:
        return not self.sent[-1]["more_body"]


def send(stream: Pieces, **line: Any) -> tuple[bool, Line]:
    async def run() -> tuple[bool, Line]:
        to = Line(**line)
        return await send_pieces(to.receive, to.send, stream), to

    return asyncio.run(run())


def test_a_whole_body_goes_out_and_ends() -> None:
    stream = Pieces()
    whole, line = send(stream)
    assert (whole, line.body, line.is_finished) == (True, b"0123456789", True)
    assert stream.closed


def test_a_body_whose_source_breaks_off_never_looks_finished() -> None:
    stream = Pieces(breaks_at=4)
    whole, line = send(stream)
    assert (whole, line.body, line.is_finished) == (False, b"0123", False)
    assert stream.closed


def test_a_source_that_ends_by_a_bug_has_broken_off_too() -> None:
    stream = Pieces(breaks_at=4, breaks_with=RuntimeError("a bug"))
    whole, line = send(stream)
    assert (whole, line.body, line.is_finished) == (False, b"0123", False)
    assert stream.closed


def test_a_body_whose_headers_cannot_be_sent_is_let_go_of() -> None:
    stream = Pieces()
    fetched = Fetched(200, (), stream, 1, counts=False)
    opened = OpenGrant(compiled_from(grant_document()))

    async def gone(message: Any) -> None:
        raise ConnectionError

    async def run() -> None:
        with pytest.raises(ConnectionError):
            await send_data(Line().receive, gone, "GET", fetched, None, opened)

    asyncio.run(run())
    assert stream.closed


def test_nothing_more_is_read_for_a_reader_who_hung_up() -> None:
    stream = Pieces()
    whole, line = send(stream, takes=3)
    assert (whole, line.body, line.is_finished) == (True, b"012", False)
    assert stream.given < 7
    assert stream.closed


def test_a_reader_who_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STALL_MAX_S", 0.01)
    stream = Pieces()
    whole, line = send(stream, takes=2, stalls=True)
    assert (whole, line.body, line.is_finished) == (True, b"01", False)
    assert stream.closed


def test_a_large_body_in_memory_goes_out_in_pieces_that_wait_for_their_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = bytes(range(256)) * 4 * (PIECE_BYTES // 1024) + b"end"
    fetched = Fetched(200, (), body, 1, counts=False)
    opened = OpenGrant(compiled_from(grant_document()))

    async def sent(line: Line) -> tuple[bool, Line]:
        # A share for one such body: a place that was not given back would be missed.
        held = room.hold(opened.grant, fetched)
        return await send_data(line.receive, line.send, "GET", held, None, opened), line

    room = HoldingRoom(buyer_share_bytes=len(body))

    whole, line = asyncio.run(sent(Line()))
    (start, *pieces) = line.sent
    assert (whole, b"".join(piece["body"] for piece in pieces)) == (True, body)
    assert (b"content-length", b"%d" % len(body)) in start["headers"]
    assert [len(piece["body"]) for piece in pieces] == [PIECE_BYTES, 3, 0]
    monkeypatch.setattr(holding, "READER_GRACE_S", -60.0)
    whole, line = asyncio.run(sent(Line()))
    assert (whole, len(line.sent)) == (True, 1), "who reads too slowly was served"
