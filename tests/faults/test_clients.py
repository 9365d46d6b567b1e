"""Clients that misbehave, against the real server, and what their calls count (F-D2).

The rule, as the OpenAPI document tells it to buyers: what counts is the answer that we give, not
what arrives. A request that we read whole and answer with data is counted once, before its first
byte goes out; whoever then hangs up, stalls or reads no further has been served, and gets the data
again under the same `Idempotency-Key`. What never became a whole request, and what is refused
(405, 406, 412, 414, 416, 431), is never counted, nor are HEAD and 304. The server drops a client
whose headers take over 30 seconds, the gateway one who sends a body at under 20 kB a second.

The observer is what these clients noted: receipts that they have read, and requests that they have
sent whole. The store may know no other event.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.db.installation import Installation
from app.metering.gateway.gateway import Gateway, make_gateway
from app.metering.gateway.streams import Receive, Send
from tests.faults.judging import Note, Verdict, counted
from tests.faults.wire import Heard, Wire, request
from tests.live import LiveServer
from tests.metering.gateway_client import give, verify

ROWS = "/data/world-gdp/rows?limit=3"
FILE = "/data/big-table/files/big-table.parquet"
BIG_ROWS = 2_000_000
SLOW_CLIENTS = 60
ABORTERS = 40
# What the server takes at all; one byte more is its own refusal, 414.
URL_MAX_BYTES = 65_534
DEED = "clients that are slow, hang up, pipeline, want a part or send what nobody can read"

Judge = Callable[[set[str | None], int], None]


@pytest.fixture
def port(installation: Installation) -> Iterator[int]:
    """Where the gateway is served, with a contract for rows."""
    give(installation)
    server = LiveServer(GatewayAlone(make_gateway(installation, verify))).start()
    with Wire(server.port) as wire:
        assert wire.ask(f"{ROWS}&limit=4").status == 400  # it has looked what was granted
    yield server.port
    server.stop()


class GatewayAlone:
    """The gateway behind a server, without the rest of the product."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await self._gateway.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._gateway.stop()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"].startswith("/data/"):
            await self._gateway(scope, receive, send)
        else:  # somebody asks whether we are there
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
def big_file(installation: Installation) -> None:
    """A contract for a file of random numbers: they pack badly into more than sockets buffer."""
    target = installation.settings.files_dir / "big.parquet"
    target.parent.mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        table = f"SELECT random() AS x FROM range({BIG_ROWS})"
        connection.execute(f"COPY ({table}) TO '{target}' (FORMAT parquet)")
    file = {
        "path": target.name,
        "rows": BIG_ROWS,
        "sha256": "0" * 64,
        "columns": [{"name": "x", "type": "DOUBLE"}],
    }
    give(installation, "grt_file", slug="big-table", channels_allowed=["file"], file=file)


@pytest.fixture
def judge(installation: Installation, note: Note) -> Judge:
    """Holds the events of the store against the receipts of all that was done `times` times."""

    def judged(receipts: set[str | None], times: int) -> None:
        ids = counted(installation)
        told = receipts - {None}
        note(DEED, Verdict(times, len(told), lost=len(told - ids), twice=len(ids - told)))

    return judged


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what the server does after its client is gone."""
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


def test_slow_clients_hold_up_nobody_and_count_when_their_request_is_whole(
    installation: Installation, judge: Judge, port: int
) -> None:
    whole = request(ROWS)
    slow = [Wire(port) for _ in range(SLOW_CLIENTS)]
    receipts = set()
    for at in range(0, len(whole) - 1, 20):
        for one in slow:
            one.send(whole[at : min(at + 20, len(whole) - 1)])
        if at % 60 == 0:
            with Wire(port) as quick:
                receipts.add(quick.ask(ROWS).receipt)
    assert counted(installation) == receipts
    for one in slow[::2]:  # half of them give up one byte before the end
        one.close()
    for one in slow[1::2]:
        one.send(whole[-1:])
        heard = one.hear()
        assert (heard.status == 200) == (heard.receipt is not None)
        receipts |= {heard.receipt} - {None}
        one.close()
    judge(receipts, SLOW_CLIENTS)
    assert len(receipts) > SLOW_CLIENTS // 4


def test_clients_that_hang_up_anywhere_are_counted_once_or_never(
    installation: Installation, judge: Judge, port: int
) -> None:
    chance = random.Random(7)
    sent_whole, receipts = [], set()
    lock = threading.Lock()

    def abort(number: int) -> None:
        whole = request(ROWS, idempotency_key=f"key-{number}")
        cut = len(whole) if chance.random() < 0.6 else chance.randrange(len(whole))
        with Wire(port) as wire:
            wire.send(whole[:cut])
            if cut < len(whole):
                return
            with lock:
                sent_whole.append(number)
            if number % 2:
                heard = wire.hear(body_max_bytes=number % 30)
                assert heard.status in {200, 503}  # told to come again: a busy machine
                with lock:
                    receipts.update({heard.receipt} - {None})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(abort, range(ABORTERS)))
    with Wire(port) as wire:
        # Their key gives them the data, and is the same one event however they ended before.
        again = [wire.ask(ROWS, idempotency_key=f"key-{number}") for number in sent_whole]
    assert {heard.status for heard in again} == {200}
    assert all(heard.body.startswith(b'{"items":[') for heard in again)
    assert receipts <= {heard.receipt for heard in again}
    judge({heard.receipt for heard in again}, ABORTERS)
    assert len(counted(installation)) == len(sent_whole)


def test_a_download_that_is_left_is_served_once_and_goes_on_where_it_stopped(
    installation: Installation, judge: Judge, big_file: None, port: int
) -> None:
    key = {"idempotency_key": "one"}
    with Wire(port) as wire:
        wire.send(request(FILE, **key))
        first = wire.hear(body_max_bytes=1_000_000)
    eventually(lambda: not open_files(installation))  # nobody reads on for a client who is gone
    with Wire(port) as wire:
        tag = first.headers["etag"]
        rest = wire.ask(FILE, range="bytes=1000000-", if_range=tag, **key)
        assert rest.status == 206
        assert rest.headers["content-range"].startswith("bytes 1000000-")
        assert len(first.body + rest.body) == int(first.headers["content-length"])
        whole = wire.ask(FILE, **key)
    assert first.body + rest.body == whole.body
    assert len({first.receipt, rest.receipt, whole.receipt}) == 1
    judge({whole.receipt}, 1)
    eventually(lambda: not open_files(installation))


def open_files(installation: Installation) -> list[str]:
    """The made files that this process, which the server runs in, has open."""
    made = str(installation.settings.files_dir / "made")
    links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if link.is_symlink()]
    return [target for target in targets if target.startswith(made)]


def test_pipelined_requests_are_answered_in_order_and_counted_each_once(
    installation: Installation, judge: Judge, port: int
) -> None:
    good = [request(f"/data/world-gdp/rows?select=number&limit={n}") for n in range(1, 6)]
    bad = [
        request("/data/world-gdp/rows?limit=many"),
        request("/data/nothing-here/rows"),
        request(ROWS, verb="HEAD"),
    ]
    with Wire(port) as wire:
        wire.send(b"".join([*good[:3], *bad[:2], *good[3:], bad[2]]))
        heard = [wire.hear() for _ in range(7)] + [wire.hear("HEAD")]
    assert [one.status for one in heard] == [200, 200, 200, 400, 404, 200, 200, 405]
    sizes = [one.body.count(b"number") for one in heard if one.status == 200]
    assert sizes == [1, 2, 3, 4, 5]
    receipts = [one.receipt for one in heard if one.status == 200]
    judge(set(receipts), len(heard))
    assert len(set(receipts)) == 5


def test_parts_count_and_what_gives_no_data_does_not(
    installation: Installation, judge: Judge, big_file: None, port: int
) -> None:
    with Wire(port) as wire:
        head = wire.ask(FILE, verb="HEAD")
        size, tag = int(head.headers["content-length"]), head.headers["etag"]
        assert wire.ask(FILE, if_none_match=tag).status == 304
        assert wire.ask(FILE, if_match='"other"').status == 412
        assert wire.ask(FILE, range=f"bytes={size}-").status == 416
        assert counted(installation) == set()
        parts = [wire.ask(FILE, range=f"bytes={span}") for span in ("0-99", "-1", "5-5")]
        several = wire.ask(FILE, range="bytes=0-1,4-5")
    assert [(part.status, len(part.body)) for part in parts] == [(206, 100), (206, 1), (206, 1)]
    assert (several.status, len(several.body)) == (200, size)
    judge({one.receipt for one in (*parts, several)}, 8)


def test_a_call_that_expects_to_continue_is_answered_and_counted_once(
    installation: Installation, judge: Judge, port: int
) -> None:
    receipts = set()
    for headers, body in (
        ({"expect": "100-continue"}, b""),
        ({"expect": "100-continue", "content-length": "5"}, b"hello"),
        ({"content-length": "5"}, b"hello"),
        ({"transfer-encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"),
    ):
        with Wire(port) as wire:
            wire.send(request(ROWS, **headers))
            heard = None if "expect" not in headers else wire.hear()
            wire.send(body)
            heard = heard or wire.hear()
        assert heard.status == 200
        receipts.add(heard.receipt)
    judge(receipts, 4)
    assert len(receipts) == 4


@pytest.mark.parametrize("size", [URL_MAX_BYTES - 200, 65_536], ids=["ours", "the-servers"])
def test_a_url_of_64_kib_is_refused_and_not_counted(judge: Judge, port: int, size: int) -> None:
    for path in (
        f"/data/world-gdp/rows?where=name='{'x' * size}",
        f"/data/world-gdp/rows?{'limit=1&' * (size // 8)}",
        f"/data/{'x' * size}/rows",
        f"/data/world-gdp/api/{'x/' * (size // 2)}",
        f"/data/big-table/files/{'x' * size}",
    ):
        with Wire(port) as wire:
            assert 400 <= wire.ask(path).status < 500
    with Wire(port) as wire:
        receipt = wire.ask(ROWS).receipt
    judge({receipt}, 5)


@pytest.mark.parametrize(
    "ambiguous",
    [
        {"content_length": "5", "transfer_encoding": "chunked"},
        {"content_length": "5, 6"},
        {"content_length": "-1"},
        {"transfer_encoding": "gzip"},
    ],
    ids=["both", "two-lengths", "negative", "unknown"],
)
def test_a_request_that_two_readers_would_cut_differently_is_never_counted_twice(
    judge: Judge, port: int, ambiguous: dict[str, str]
) -> None:
    smuggled = request("/data/world-gdp/rows?limit=7")
    with Wire(port) as wire:
        wire.send(request(ROWS, **ambiguous) + b"0\r\n\r\n" + smuggled)
        heard: list[Heard] = []
        try:
            while len(heard) < 2:
                heard.append(wire.hear())
        except (ConnectionError, TimeoutError):
            pass
    assert len(heard) <= 2
    judge({one.receipt for one in heard}, 1)
