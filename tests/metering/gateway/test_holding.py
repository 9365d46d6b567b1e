"""Large answers that are read slowly: whoever reads too many gets no more, and pays for none."""

from __future__ import annotations

import asyncio
from typing import Any

import duckdb
import pytest

from app.db.installation import Installation
from app.metering.gateway.holding import PIECE_BYTES, HoldingRoom
from tests.metering.gateway_client import Answer, Caller, check_problem, events, give, play
from tests.metering.grant_documents import BUYER
from tests.metering.store import fsck

ROWS = 1_000
ROWS_PATH = f"/data/world-gdp/rows?limit={ROWS}"
OTHER = "org_other"
BUYER_SHARE_BYTES = 3 * PIECE_BYTES
"""Enough for one of the answers, not for two."""


def large_table(installation: Installation) -> dict[str, Any]:
    folder = installation.settings.files_dir
    folder.mkdir(exist_ok=True)
    select = f"SELECT i AS number, repeat('x', 400) AS text FROM range({ROWS}) t(i)"
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({select}) TO '{folder / 'large.parquet'}' (FORMAT parquet)")
    columns = [{"name": "number", "type": "BIGINT"}, {"name": "text", "type": "VARCHAR"}]
    return {"path": "large.parquet", "rows": ROWS, "sha256": "0" * 64, "columns": columns}


class SlowReader:
    """One who has the headers of an answer, and takes nothing of its body until it is let."""

    def __init__(self, caller: Caller, path: str = ROWS_PATH) -> None:
        self._may_go_on = asyncio.Event()
        self._begun = asyncio.Event()
        self._reading = asyncio.create_task(caller.sent("GET", path, before_body=self._wait))

    async def _wait(self) -> None:
        self._begun.set()
        await self._may_go_on.wait()

    async def begun(self) -> None:
        await self._begun.wait()

    async def read(self) -> bytes:
        self._may_go_on.set()
        start, *bodies = await self._reading
        assert start["status"] == 200
        return b"".join(message["body"] for message in bodies)

    async def hang_up(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])


@pytest.mark.parametrize(
    ("room_bytes", "slug", "others"),
    [(4 * BUYER_SHARE_BYTES, "rate-limited", 200), (BUYER_SHARE_BYTES, "unavailable", 503)],
)
@pytest.mark.parametrize("ends", ["read", "hang_up"])
def test_who_reads_a_large_answer_slowly_gets_no_other_until_it_ends(
    installation: Installation, room_bytes: int, slug: str, others: int, ends: str
) -> None:
    file = large_table(installation)
    give(installation, file=file)
    give(installation, "grt_two", file=file, buyer_id=OTHER)
    got: dict[str, Answer] = {}

    async def story(caller: Caller) -> None:
        share_bytes = min(room_bytes * 2, BUYER_SHARE_BYTES if others == 200 else 2**62)
        caller.gateway._fetcher._room = HoldingRoom(room_bytes, share_bytes)
        slow = SlowReader(caller)
        await slow.begun()
        for name, path in (("cached", ROWS_PATH), ("new", f"{ROWS_PATH}&order=-number")):
            got[name] = await caller.get(path)
        got["small"] = await caller.get("/data/world-gdp/rows?limit=2")
        got["other"] = await caller.get(ROWS_PATH, OTHER)
        await getattr(slow, ends)()
        got["after"] = await caller.get(ROWS_PATH)

    play(installation, story)
    for name in ("cached", "new"):
        check_problem(got[name], 429 if slug == "rate-limited" else 503, slug)
        assert got[name].headers["retry-after"] == "1"
    assert (got["small"].status, got["other"].status) == (200, others)
    assert got["after"].status == 200
    assert len(got["after"].body) > PIECE_BYTES
    buyers = [event.grant_id for event in events(installation)]
    assert buyers.count("grt_one") == 3, "the slow one, the small one and the last one"
    assert buyers.count("grt_two") == (others == 200)
    assert fsck(installation) == []


def test_a_large_answer_comes_whole(installation: Installation) -> None:
    give(installation, file=large_table(installation))
    got: list[bytes] = []

    async def story(caller: Caller) -> None:
        slow = SlowReader(caller)
        got.append(await slow.read())
        got.append((await caller.get(ROWS_PATH, BUYER)).body)
        assert caller.gateway._fetcher._room._room.left_bytes == HoldingRoom()._room.left_bytes

    play(installation, story)
    assert got[0] == got[1]
    assert got[0].count(b"x" * 400) == ROWS
