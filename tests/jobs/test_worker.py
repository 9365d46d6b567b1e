"""Jobs are run at least once, in order, and are never lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import select

from app.db.installation import Installation
from app.jobs.kinds import JobKind
from app.jobs.models import Job
from app.jobs.queue import claim, complete, enqueue
from app.jobs.worker import Worker
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock


class Notebook:
    """A job kind that writes down what it was given and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.seen: list[Mapping[str, Any]] = []

    def run(self, _installation: Installation, payload: Mapping[str, Any]) -> None:
        self.seen.append(payload)
        if self.failures > 0:
            self.failures -= 1
            raise RuntimeError("not yet")


def put(installation: Installation, dedupe_key: str | None = None, **payload: Any) -> None:
    with installation.transaction(OPERATOR) as session:
        enqueue(session, "note", dedupe_key=dedupe_key, **payload)


def test_a_job_runs_once_and_is_done(installation: Installation) -> None:
    notebook = Notebook()
    worker = Worker(installation, [JobKind("note", notebook.run)])
    put(installation, n=1)
    put(installation, n=2)
    assert worker.run_due() == 2
    assert [payload["n"] for payload in notebook.seen] == [1, 2]
    assert worker.run_due() == 0


def test_a_job_of_a_rolled_back_transaction_never_runs(installation: Installation) -> None:
    notebook = Notebook()
    worker = Worker(installation, [JobKind("note", notebook.run)])
    try:
        with installation.transaction(OPERATOR) as session:
            enqueue(session, "note", n=1)
            raise KeyError
    except KeyError:
        pass
    assert worker.run_due() == 0


def test_a_failing_job_is_tried_again_after_a_back_off(
    installation: Installation, clock: SetClock
) -> None:
    notebook = Notebook(failures=2)
    worker = Worker(installation, [JobKind("note", notebook.run)])
    put(installation, n=1)
    assert worker.run_due() == 1
    assert worker.run_due() == 0, "it is not due before its back-off has passed"
    clock.advance(timedelta(seconds=1))
    assert worker.run_due() == 1
    clock.advance(timedelta(seconds=2))
    assert worker.run_due() == 1
    assert len(notebook.seen) == 3
    clock.advance(timedelta(hours=1))
    assert worker.run_due() == 0


def test_a_job_that_always_fails_is_left_as_failed_with_its_error(
    installation: Installation, clock: SetClock
) -> None:
    worker = Worker(installation, [JobKind("note", Notebook(failures=99).run, max_attempts=3)])
    put(installation, n=1)
    for _ in range(5):
        worker.run_due()
        clock.advance(timedelta(hours=1))
    with installation.transaction(OPERATOR, writes=False) as session:
        job = session.exec(select(Job)).one()
    assert job.attempts == 3
    assert job.failed_at is not None
    assert "not yet" in (job.last_error or "")


def test_a_job_without_a_last_try_goes_on_at_its_own_longest_pause(
    installation: Installation, clock: SetClock
) -> None:
    notebook = Notebook(failures=40)
    kind = JobKind("note", notebook.run, max_attempts=None, longest_pause_s=2)
    worker = Worker(installation, [kind])
    put(installation, n=1)
    for _ in range(41):
        assert worker.run_due() == 1
        clock.advance(timedelta(seconds=2))
    assert len(notebook.seen) == 41
    assert worker.run_due() == 0


def test_a_dedupe_key_asks_for_the_work_only_once(installation: Installation) -> None:
    notebook = Notebook()
    put(installation, dedupe_key="a", n=1)
    put(installation, dedupe_key="a", n=2)
    assert Worker(installation, [JobKind("note", notebook.run)]).run_due() == 1
    put(installation, dedupe_key="a", n=3)
    assert Worker(installation, [JobKind("note", notebook.run)]).run_due() == 0
    assert notebook.seen == [{"n": 1}]


def test_a_leased_job_is_not_given_twice_until_its_lease_is_over(
    installation: Installation, clock: SetClock
) -> None:
    put(installation, n=1)
    with installation.transaction(OPERATOR) as session:
        first = claim(session, ["note"], lease_s=60, token="one")
    assert first is not None
    with installation.transaction(OPERATOR) as session:
        assert claim(session, ["note"], lease_s=60, token="two") is None
    clock.advance(timedelta(seconds=61))
    with installation.transaction(OPERATOR) as session:
        second = claim(session, ["note"], lease_s=60, token="two")
    assert second is not None and second.attempts == 2
    with installation.transaction(OPERATOR) as session:
        complete(session, first, "one")
    with installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(Job)).one().done_at is None, "the late worker lost its lease"
