"""PostgreSQL keeps events by month, and no batch fails for a month that nobody made."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.db.installation import Installation
from app.kernel.clock import SetClock, epoch_us
from app.kernel.refusals import Outage
from app.metering.history.partitions import (
    DEFAULT,
    make_months,
    make_months_ahead,
    missing_months,
    month_of,
    partitions,
)
from app.metering.tables import usage_event
from app.metering.tally.calls import Batch, Call, Outcome, Settled
from app.metering.tally.postgres_driver import SETTINGS
from app.metering.tally.tally import open_driver
from tests.metering.calling import NOON_US, call_on
from tests.metering.store import execute, fsck, give, settle

# The last second of November in Shanghai is still the afternoon in London.
MONTHS_END_US = epoch_us(datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC))
SECOND_US = 1_000_000


@pytest.fixture
def engine_name() -> str:
    return "postgres"


@pytest.fixture
def months(installation: Installation) -> Installation:
    give(installation)
    make_months_ahead(installation)
    return installation


def places(installation: Installation) -> list[tuple[int, str]]:
    """Each event's number, and the partition that it is in."""
    place = sa.literal_column("usage_event.tableoid::regclass::text")
    with installation.usage.connect() as connection:
        rows = connection.execute(sa.select(usage_event.c.number, place).order_by("number"))
        return [(number, partition) for number, partition in rows]


def settled(installation: Installation, call: Call, *, again: bool = False) -> list[Settled]:
    async def run() -> list[Settled]:
        driver = open_driver(installation.settings.usage_url)
        await driver.begin()
        answers = await driver.settle(Batch((call,), again=again))
        await driver.close()
        return answers

    return asyncio.run(run())


def explain(connection: sa.Connection, question: str) -> str:
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN {question}").scalars())


def test_a_month_is_the_calendars_in_asia_shanghai() -> None:
    november = month_of(MONTHS_END_US)
    assert str(november) == "2026-11"
    assert str(month_of(MONTHS_END_US + SECOND_US)) == "2026-12"
    assert november.bounds_us[1] == november.next.bounds_us[0] == MONTHS_END_US + SECOND_US
    assert str(november.next.next) == "2027-01"


def test_events_go_to_the_month_in_which_they_are_settled(months: Installation) -> None:
    settle(months, call_on(at_us=MONTHS_END_US), call_on(at_us=MONTHS_END_US + SECOND_US))
    assert places(months) == [(1, "usage_event_2026_11"), (2, "usage_event_2026_12")]
    assert fsck(months) == []


def test_months_are_made_ahead_once_and_again_when_time_has_gone_on(
    months: Installation, clock: SetClock
) -> None:
    first = ["2026_11", "2026_12", "2027_01", "2027_02", "2027_03"]
    with months.usage_transaction() as connection:
        assert partitions(connection) == {DEFAULT, *(f"usage_event_{name}" for name in first)}
        assert make_months(connection, clock.now_us()) == ([], [])
        assert list(missing_months(connection, clock.now_us())) == []
    clock.advance(timedelta(days=30))
    with months.usage_transaction() as connection:
        assert [str(month) for month in make_months(connection, clock.now_us())[0]] == ["2027-04"]


def test_a_clock_that_has_run_off_costs_no_batch(months: Installation, clock: SetClock) -> None:
    forty_days_us = 40 * 86_400 * SECOND_US
    settle(months, call_on(at_us=NOON_US + forty_days_us))
    ran_off_us = NOON_US + 700 * 86_400 * SECOND_US
    grant = give(months, "grt_two", ends_at_us=2 * ran_off_us)
    settle(months, call_on(grant, at_us=ran_off_us))
    lost = month_of(ran_off_us)
    assert places(months) == [(1, "usage_event_2026_12"), (1, DEFAULT)]
    with months.usage_transaction() as connection:
        assert make_months(connection, ran_off_us)[1] == [lost]
        assert list(missing_months(connection, ran_off_us)) == [lost]
    assert fsck(months) == []


def test_a_key_repeated_across_a_months_end_is_one_call(months: Installation) -> None:
    key = {"key_sha256": "c" * 64, "replay_until_us": MONTHS_END_US + 60 * SECOND_US}
    first = call_on(at_us=MONTHS_END_US, **key)
    again = call_on(at_us=MONTHS_END_US + SECOND_US, **key)
    answers = [*settled(months, first), *settled(months, again)]
    assert [answer.outcome for answer in answers] == [Outcome.POSTED, Outcome.DUPLICATE]
    assert answers[0].event_id == answers[1].event_id
    assert places(months) == [(1, "usage_event_2026_11")]


def test_a_batch_sent_again_after_the_months_end_finds_its_events(months: Installation) -> None:
    call = call_on(at_us=MONTHS_END_US)
    settle(months, call)
    (answer,) = settled(months, replace(call, at_us=MONTHS_END_US + SECOND_US), again=True)
    assert (answer.outcome, answer.number) == (Outcome.POSTED, 1)
    assert places(months) == [(1, "usage_event_2026_11")]


@pytest.mark.parametrize("column", ["number", "event_id"])
def test_a_month_holds_a_number_and_an_id_once(months: Installation, column: str) -> None:
    settle(months, call_on(), call_on())
    with pytest.raises(IntegrityError):
        execute(
            months,
            f"UPDATE usage_event SET {column} = (SELECT {column} FROM usage_event"
            " WHERE number = 1) WHERE number = 2",
        )


def test_fsck_names_a_month_whose_keys_are_gone(months: Installation) -> None:
    execute(months, "ALTER TABLE usage_event_2026_12 DROP CONSTRAINT pk_usage_event_2026_12")
    assert fsck(months) == ["A5: partition usage_event_2026_12 lacks a unique key"]


def test_making_months_gives_way_to_calls(months: Installation, clock: SetClock) -> None:
    """A reader of the default partition is in the way of attaching: it is not waited for long."""
    clock.advance(timedelta(days=30))
    with months.usage_transaction(writes=False) as reader:
        reader.execute(sa.select(usage_event)).all()
        with pytest.raises(Outage):
            make_months_ahead(months)
    make_months_ahead(months)
    with months.usage_transaction(writes=False) as connection:
        assert list(missing_months(connection, clock.now_us())) == []


def test_the_functions_plans_go_by_index_in_every_month(months: Installation) -> None:
    """Settling looks for an amended window's use and for a batch's earlier events."""
    question = """SELECT number FROM usage_event e WHERE e.grant_id = 'g' AND {} """
    with months.usage_transaction() as connection:
        for name, value in SETTINGS.items():
            if name.startswith("enable_"):
                connection.exec_driver_sql(f"SET LOCAL {name} = {value}")
        for condition in ("e.event_id = 'e'", "e.voids = 3", "e.number BETWEEN 3 AND 9"):
            plan = explain(connection, question.format(condition))
            assert plan.count("Index") >= 6, plan
            assert "Seq Scan" not in plan, plan
        first, after = month_of(NOON_US).bounds_us
        within = f"e.settled_at_us >= {first} AND e.settled_at_us < {after}"
        plan = explain(connection, question.format(within))
        assert "usage_event_2026_11" in plan
        assert "usage_event_2026_12" not in plan, "the other months are pruned"
