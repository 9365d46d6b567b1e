"""Rows beside their leaves: in order, batch by batch, and what is gone is named."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from app.audit import told
from app.audit.recording import record
from app.audit.told import lost_rows, with_tales
from app.db.installation import Installation
from app.jobs.models import Job
from app.jobs.queue import enqueue
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock


@pytest.fixture
def jobs(installation: Installation, clock: SetClock) -> list[str]:
    """Five rows of any kind; each but the last was told of twice."""
    with installation.transaction(OPERATOR) as session:
        for number in range(5):
            enqueue(session, f"kind-{number}")
        ids = list(session.exec(select(Job.id).order_by(col(Job.id))))
        for job_id in ids[:4]:
            record(session, "job:begun", job_id, step=1)
    clock.advance(timedelta(seconds=1))
    with installation.transaction(OPERATOR) as session:
        for job_id in ids[:4]:
            record(session, "job:moved", job_id, step=2)
            record(session, "job:seen", job_id)
    return ids


def test_each_row_comes_with_its_own_leaves_in_order(
    installation: Installation, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "BATCH", 2)
    rows = select(Job).order_by(col(Job.id))
    with installation.snapshot(OPERATOR) as session:
        found = list(with_tales(session, rows, ["job:begun", "job:moved"], lambda row: row.id))
    assert [row.id for row, _ in found] == jobs
    for _, tale in found[:4]:
        assert [(one.kind, one.facts) for one in tale.told] == [
            ("job:begun", {"step": 1}),
            ("job:moved", {"step": 2}),
        ]
        assert tale.last() is tale.told[1]
        assert tale.last("job:begun") is tale.told[0]
        begun_at, moved_at = (one.at for one in tale.told)
        assert tale.has("job:begun", begun_at, step=1)
        assert not tale.has("job:begun", moved_at)
        assert not tale.has("job:begun", begun_at, step=2)
    assert found[4][1].last() is None


def test_a_row_that_is_told_of_and_not_there_is_named(
    installation: Installation, jobs: list[str]
) -> None:
    with installation.transaction(OPERATOR) as session:
        assert list(lost_rows(session, "job:begun", Job.id)) == []
        session.delete(session.get_one(Job, jobs[2]))
        session.flush()
        [problem] = lost_rows(session, "job:begun", Job.id)
    assert problem.startswith(f"A1: {jobs[2]} is gone; leaf leaf_")
