"""Metering's work beside requests: what is swept, and that it runs on schedule."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from app.db.changes import changes_since
from app.db.installation import Installation
from app.jobs.worker import Worker
from app.kernel.clock import SetClock, epoch_us
from app.metering.tables import usage_key, usage_segment
from app.metering.tasks import SCHEDULE, sweep
from tests.metering.calling import call_on
from tests.metering.store import give, settle


def count(installation: Installation, table: sa.Table) -> int:
    with installation.usage.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_an_expired_key_is_swept_and_a_living_one_is_kept(
    installation: Installation, clock: SetClock
) -> None:
    grant = give(installation)
    at_us = epoch_us(clock.now())
    settle(installation, call_on(grant, at_us, key_sha256="a" * 64))
    clock.advance(timedelta(hours=23))
    settle(installation, call_on(grant, epoch_us(clock.now()), key_sha256="b" * 64))
    clock.advance(timedelta(hours=1))
    sweep(installation)
    assert count(installation, usage_key) == 1


def test_old_changes_are_swept(installation: Installation) -> None:
    give(installation)
    sweep(installation)
    with installation.usage.connect() as connection:
        assert not changes_since(connection, 0).complete


def test_the_schedule_seals(installation: Installation) -> None:
    settle(installation, call_on(give(installation)))
    Worker(installation, [], SCHEDULE).run_schedule_once()
    assert count(installation, usage_segment) == 1
