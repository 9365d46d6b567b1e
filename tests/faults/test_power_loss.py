"""The power goes while batches are written: what was acknowledged is there when it comes back."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db.installation import Installation, open_installation
from app.kernel.clock import SystemClock
from app.kernel.refusals import Outage
from app.metering.tally.calls import Batch, Outcome
from app.metering.tally.sqlite_driver import SqliteDriver
from app.settings import Settings
from tests.faults.disks import Disk, stored_on
from tests.faults.judging import Note, Verdict, counted
from tests.faults.mortal import KEYS
from tests.metering.calling import NOON_US, call_on
from tests.metering.grant_documents import quota
from tests.metering.store import give, settle

LIFE = 1500
HASTY = {"PRAGMA synchronous=FULL": "PRAGMA synchronous=NORMAL"}


@pytest.fixture
def engine_name() -> str:
    return "sqlite"


@pytest.fixture
def prepared(installation: Installation, tmp_path: Path) -> Path:
    """A store with a grant in it, all of it in one file."""
    give(installation, windows=[quota("day", None)])
    with installation.usage.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    installation.usage.dispose()
    database = sa.make_url(installation.settings.usage_url).database
    assert database is not None
    return Path(shutil.copy(database, tmp_path / "prepared.db"))


async def settle_until_dark(path: Path, chance: random.Random) -> set[str]:
    """Settle batches until there is no power; the events that were acknowledged."""
    driver = SqliteDriver(str(path))
    acknowledged: set[str] = set()
    number = 0
    while True:
        calls = []
        for _ in range(chance.randint(1, 4)):
            number += 1
            key = {"key_sha256": f"{number:064x}", "replay_until_us": NOON_US + 1}
            calls.append(call_on(**(key if chance.random() < 0.5 else {})))
        try:
            await driver.begin()
            answers = await driver.settle(Batch(tuple(calls)))
        except Outage:
            return acknowledged
        assert {answer.outcome for answer in answers} == {Outcome.POSTED}
        acknowledged |= {answer.event_id for answer in answers}


def lose_power(
    prepared: Path, folder: Path, chance: random.Random, pragmas: dict[str, str] | None = None
) -> tuple[set[str], Installation]:
    """What was acknowledged before the power went, and the store as it is found afterwards."""
    for name in ("before", "after"):
        (folder / name).mkdir(parents=True)
    running = Path(shutil.copy(prepared, folder / "before" / "usage.db"))
    disk = Disk(life=chance.randint(1, LIFE))
    with stored_on(disk, pragmas):
        acknowledged = asyncio.run(settle_until_dark(running, chance))
        disk.lose_power(folder / "after", chance)
    settings = Settings(home=folder, usage_url=f"sqlite:///{folder}/after/usage.db")
    return acknowledged, open_installation(settings, SystemClock(), KEYS)


def test_what_was_acknowledged_outlives_the_power(
    prepared: Path, tmp_path: Path, chance: random.Random, note: Note, long: bool
) -> None:
    times = 200 if long else 15
    lost = total = 0
    for number in range(times):
        folder = tmp_path / str(number)
        acknowledged, found = lose_power(prepared, folder, chance)
        ids = counted(found)
        lost += len(acknowledged - ids)
        total += len(acknowledged)
        # The batch that was being committed may be there, whole; nobody was told.
        assert len(ids - acknowledged) <= 4
        [again] = settle(found, call_on())
        assert again.number == len(ids) + 1, "it works at once"
        found.usage.dispose()
        shutil.rmtree(folder)
    assert total > times, "there was work"
    note("power loss while batches are written", Verdict(times, total, lost=lost))


def test_the_disk_would_show_a_store_that_does_not_wait(
    prepared: Path, tmp_path: Path, chance: random.Random
) -> None:
    """The observer is not blind: with commits that are not synced, acknowledged calls are lost."""
    lost = 0
    for number in range(5):
        acknowledged, found = lose_power(prepared, tmp_path / str(number), chance, HASTY)
        lost += len(acknowledged - counted(found))
        found.usage.dispose()
    assert lost > 0
