"""An upstream that misbehaves in every way of the fault plan (F-D1)."""

from __future__ import annotations

import asyncio

import pytest

from app.metering.upstream import UpstreamFailed, UpstreamTimeout, UpstreamTooLarge
from tests.metering.upstream.calling import call, failure, hang
from tests.metering.upstream.raw_server import BODY_MAX_BYTES, Behaviour, answer

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
        OK + b"X: a\x01b\r\nContent-Length: 2\r\n\r\nab",
        OK + b"X: a\x7fb\r\nContent-Length: 2\r\n\r\nab",
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


@pytest.mark.parametrize("behave", [hang, _hang_in_the_body, _trickle, _trickle_headers])
def test_a_slow_upstream_is_cut_off_at_the_deadline(behave: Behaviour) -> None:
    with pytest.raises(UpstreamTimeout) as failed:
        call(behave, timeout_s=0.3)
    assert (failed.value.status, failed.value.slug) == (504, "upstream-timeout")


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
