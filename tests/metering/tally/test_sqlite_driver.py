"""The SQLite driver commits in the loop, and in a thread where the disk is slow."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.metering.tally import sqlite_driver as tally_sqlite
from app.metering.tally.calls import Batch, Outcome
from app.metering.tally.sqlite_driver import CommitPace, SqliteDriver
from tests.metering.calling import call_on
from tests.metering.grant_documents import grant_document


@pytest.fixture
def engine_name() -> str:
    return "sqlite"


def test_the_pace_turns_slow_by_its_percentile_and_recovers() -> None:
    pace = CommitPace(bound_s=0.002, size=100)
    for _ in range(94):
        pace.took(0.0001)
    for _ in range(6):
        pace.took(0.003)
    assert pace.slow
    for _ in range(100):
        pace.took(0.0001)
    assert not pace.slow


def test_few_slow_commits_change_nothing() -> None:
    pace = CommitPace(bound_s=0.002, size=100)
    for number in range(200):
        pace.took(0.5 if number % 40 == 0 else 0.0001)
    assert not pace.slow


def test_batches_move_to_a_thread_while_commits_are_slow(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installation.usage_transaction() as connection:
        apply_grant(connection, grant_document(), at_us=1)
    threads: list[int] = []
    real = tally_sqlite.settle
    monkeypatch.setattr(
        tally_sqlite,
        "settle",
        lambda *given: (threads.append(threading.get_ident()), real(*given))[1],
    )

    async def run() -> None:
        pace = CommitPace()
        driver = SqliteDriver(installation.settings.usage_url.removeprefix("sqlite:///"), pace)
        for slow in (False, True, False):
            pace.slow = slow
            await driver.begin()
            answers = await driver.settle(Batch((call_on(),)))
            assert answers[0].outcome is Outcome.POSTED
        await driver.close()

    asyncio.run(run())
    here = threading.get_ident()
    assert [ident == here for ident in threads] == [True, False, True]
