"""The disk is full where files are made for contracts, and where old usage is archived (F-A5).

A limit on the size of a process's files stands for the disk, and needs no rights: no file of it
grows beyond so many bytes. The stores are of PostgreSQL's own processes, which have room.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from app.db.installation import Installation
from app.kernel.clock import SetClock
from app.kernel.refusals import Outage
from app.metering.history.archive_files import NAMES, read_events
from app.metering.history.archiving import archive_due
from app.metering.history.closing import close_ranges
from app.metering.history.segments import seal_due
from app.metering.history.totals import total_due
from app.metering.hosted.files import FOLDER
from app.sandbox.http_client import Answer, send
from tests.faults.judging import Note, Verdict, judge
from tests.faults.lives import gateways_on
from tests.faults.loading import Journal, load
from tests.faults.test_exactness import run
from tests.faults.test_network import until_served
from tests.listings.test_full_disk import files_end_at
from tests.metering.calling import call_on
from tests.metering.gateway_client import give as give_rows
from tests.metering.grant_documents import BUYER, local_us, quota
from tests.metering.history.test_archiving import everything_asked, stored
from tests.metering.store import fsck, give, settle

FILES = "/data/world-gdp/files"
FORMS = ("csv", "parquet")
HALF_A_FILE = 100_000
ROWS = 50_000
CALLS = 8
ARCHIVE = "usage-2026-11.parquet"
STEP_BYTES = 200
DECEMBER_US = local_us("2026-12-01 00:00:00")
MADE = "the disk is full where files are made for contracts"
ARCHIVED = "the disk is full where old usage is archived"


def give_file(installation: Installation) -> None:
    """A contract for a file of random numbers, which pack badly."""
    folder = installation.settings.files_dir
    folder.mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        table = f"SELECT random() AS x FROM range({ROWS})"
        connection.execute(f"COPY ({table}) TO '{folder}/rows.parquet' (FORMAT parquet)")
    columns = [{"name": "x", "type": "DOUBLE"}]
    file = {"path": "rows.parquet", "rows": ROWS, "sha256": "0" * 64, "columns": columns}
    windows = [quota("day", None)]
    give_rows(installation, channels_allowed=["file"], file=file, windows=windows)


@contextmanager
def full_disk(pid: int, size_bytes: int, unmade: list[Path]) -> Iterator[None]:
    """No file of the process grows beyond so many bytes, and what it had made so is gone."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
    for path in unmade:
        shutil.rmtree(path.parent)
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
def test_a_file_that_finds_no_room_is_made_when_there_is_some(
    installation: Installation, note: Note
) -> None:
    give_file(installation)
    journal, ends, asked = Journal(), [], ["csv"]
    made = installation.settings.files_dir / FOLDER
    with gateways_on(installation) as gateways:
        process = gateways.start()
        url = f"{gateways.url()}{FILES}"

        def ask(method: str, form: str) -> Answer:
            headers = {"Authorization": f"Bearer {BUYER}"}
            return send(method, f"{url}/world-gdp.{form}", None, headers)

        async def play() -> None:
            ending = asyncio.Event()
            work = asyncio.create_task(
                load(lambda: f"{url}/world-gdp.{asked[0]}", BUYER, journal, "key", ending, 0.01)
            )
            await until_served(journal, work)
            for asked[0], other in (FORMS, FORMS[::-1]):
                assert (await asyncio.to_thread(ask, "HEAD", other)).status == 200
                for size_bytes in (0, HALF_A_FILE):
                    with full_disk(process.pid, size_bytes, list(made.glob(f"*/*.{asked[0]}"))):
                        answer = await asyncio.to_thread(ask, "GET", asked[0])
                        check_away(answer)
                        assert (await asyncio.to_thread(ask, "HEAD", other)).status == 200
                        assert not list(made.glob(f"*/*.{asked[0]}"))
                    ends.append(time.monotonic())
                    await until_served(journal, work)
            ending.set()
            await asyncio.wait_for(work, 60)

        run(play())
        assert process.is_alive()
    assert journal.statuses == {200, 503}
    assert {path.name.partition("-")[0] for path in made.glob("*/*")} == {str(ROWS)}
    recovered_s = max(map(journal.silence_after, ends))
    note(
        MADE,
        judge(installation, journal, journal.receipts, times=len(ends), recovered_s=recovered_s),
    )


def check_away(answer: Answer) -> None:
    """503 as a problem document that says when to come again; nothing was counted."""
    assert answer.status == 503, answer.body
    assert answer.json()["type"] == "urn:zhigu:problem:file-away"
    assert int(answer.headers["retry-after"]) >= 1
    assert "usage-receipt" not in answer.headers


def use_until_december(installation: Installation, clock: SetClock) -> list[str]:
    """Calls of November that are due to be archived, and one of December; their events."""
    grant = give(installation)
    calls = [call_on(grant) for _ in range(CALLS)]
    settle(installation, *calls, call_on(grant, at_us=DECEMBER_US))
    seal_due(installation)
    total_due(installation)
    close_ranges(installation, ["grt_one"], DECEMBER_US)
    clock.set_to(datetime(2028, 1, 6, tzinfo=UTC))
    return [call.event_id for call in calls]


@pytest.mark.usefixtures("capsys")  # log lines go to memory: pytest's own file cannot grow
def test_a_month_that_finds_no_room_is_archived_when_there_is_some(
    installation: Installation, clock: SetClock, note: Note
) -> None:
    november = use_until_december(installation, clock)
    before, everything = everything_asked(installation), stored(installation)
    folder = installation.settings.archive_dir
    times = 0
    for size_bytes in sizes():
        try:
            with files_end_at(size_bytes):
                archive_due(installation)
            break
        except (OSError, duckdb.Error, Outage):
            times += 1
            assert everything_asked(installation) == before
            assert fsck(installation) == []
            for path in folder.iterdir():
                assert path.name in {".lock", ARCHIVE}
                assert path.name == ".lock" or events_in(path) == november
    assert stored(installation) == everything[-1:], "all but the event of December"
    assert everything_asked(installation) == before
    assert fsck(installation) == []
    kept = Counter(events_in(folder / ARCHIVE))
    verdict = Verdict(
        times=times,
        acknowledged=len(november),
        lost=len(set(november) - set(kept)),
        twice=kept.total() - len(november),
    )
    assert times > 10
    note(ARCHIVED, verdict)


def sizes() -> Iterator[int]:
    """From a disk that takes nothing to one with room for whole stores."""
    size_bytes = 0
    while True:
        yield size_bytes
        size_bytes += max(STEP_BYTES, size_bytes // 4)


def events_in(path: Path) -> list[str]:
    """The events of an archive."""
    at = NAMES.index("event_id")
    return [str(row[at]) for rows in read_events(path) for row in rows]
