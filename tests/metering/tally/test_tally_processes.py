"""Several processes on one grant: never one unit too many, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.metering.tables import grant_state, usage_event, usage_window
from tests.metering.grant_documents import grant_document, quota

ROOT = Path(__file__).parents[3]


class Child:
    """A process with a tally, its answers read as they come."""

    def __init__(
        self, installation: Installation, turns: str, count: int, concurrency: int
    ) -> None:
        url = installation.settings.usage_url
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.metering.tally_child"),
                *(url, turns, "grt_one", str(count), str(concurrency)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready -\n"
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                self.lines.append(line.decode().strip())

    def wait(self) -> int:
        code = self.process.wait(timeout=60)
        self._reading.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        return code


def give(installation: Installation, limit: int | None) -> None:
    document = grant_document(windows=[quota("contract", limit), quota("day", None)])
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, document, at_us=1)


def stored(installation: Installation) -> tuple[list[int], set[str], list[int]]:
    """Numbers in order, event ids, and the counters of the grant; all must agree."""
    with installation.usage.connect() as connection:
        events = connection.execute(sa.select(usage_event).order_by(usage_event.c.number)).all()
        used = connection.execute(sa.select(usage_window.c.used_units)).scalars().all()
        last = connection.execute(sa.select(grant_state.c.last_number)).scalar_one()
    assert last == len(events)
    return [event.number for event in events], {event.event_id for event in events}, list(used)


@pytest.fixture(params=["in turn", "at will"])
def turns(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "turns") if request.param == "in turn" else ""


@pytest.mark.parametrize("limit", [1, 100])
def test_a_thousand_calls_through_two_processes_are_admitted_exactly_to_the_limit(
    installation: Installation, limit: int, turns: str
) -> None:
    give(installation, limit)
    children = [Child(installation, turns, count=500, concurrency=500) for _ in range(2)]
    for child in children:
        child.go()
    assert [child.wait() for child in children] == [0, 0]
    answers = [line.split() for child in children for line in child.lines]
    assert Counter(outcome for outcome, _ in answers) == {
        "posted": limit,
        "over_limit": 1000 - limit,
    }
    numbers, ids, used = stored(installation)
    assert numbers == list(range(1, limit + 1))
    assert ids == {event_id for outcome, event_id in answers if outcome == "posted"}
    assert used == [limit, limit]


def test_a_killed_process_has_kept_every_call_that_it_acknowledged(
    installation: Installation, turns: str
) -> None:
    give(installation, None)
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(3):
        children = [Child(installation, turns, count=0, concurrency=32) for _ in range(2)]
        for child in children:
            child.go()
        threading.Event().wait(chance.uniform(0.05, 0.4))
        for child in children:
            child.process.send_signal(signal.SIGKILL)
        for child in children:
            assert child.wait() == -signal.SIGKILL
            answers = [line.split() for line in child.lines]
            assert {outcome for outcome, _ in answers} <= {"posted"}
            acknowledged |= {event_id for _, event_id in answers}
    assert acknowledged, "the processes were killed before they did anything"
    numbers, ids, used = stored(installation)
    assert acknowledged <= ids
    # What was in flight when a process died may be counted; it is bounded by its callers.
    assert len(ids - acknowledged) <= 3 * 2 * 32
    assert numbers == list(range(1, len(ids) + 1))
    assert used == [len(ids), len(ids)]
