"""The tally gathers calls, survives its store, and answers only what is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa

from app.db.engine import make_engine, writing
from app.db.installation import Installation
from app.kernel.refusals import Outage
from app.metering.granting import apply_grant
from app.metering.tables import usage_event, usage_window
from app.metering.tally.calls import Outcome, Paid, Settled, Void
from app.metering.tally.tally import Tally, open_driver, open_tally
from tests.metering.calling import NOON_US, REQUEST, call_on
from tests.metering.grant_documents import grant_document

Play = Callable[[Tally], Awaitable[None]]
FAILING_COMMIT = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE UPDATE ON grant_state BEGIN SELECT RAISE(ABORT, 'no'); END"
    ],
    "postgres": [
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'no'; END $$""",
        """CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON usage_event
           DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()""",
    ],
}
WORKING_COMMIT = {
    "sqlite": ["DROP TRIGGER refuse"],
    "postgres": ["DROP TRIGGER refuse ON usage_event"],
}


@pytest.fixture
def granted(installation: Installation) -> Installation:
    with installation.usage_transaction() as connection:
        apply_grant(connection, grant_document(), at_us=1)
    return installation


def play(installation: Installation, story: Play) -> None:
    async def run() -> None:
        tally = open_tally(installation.settings.usage_url)
        tally.start()
        try:
            await story(tally)
        finally:
            await tally.stop()

    asyncio.run(run())


def execute(installation: Installation, statements: list[str]) -> None:
    with installation.usage_transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def event_count(installation: Installation) -> int:
    with installation.usage.connect() as connection:
        return int(
            connection.execute(sa.select(sa.func.count()).select_from(usage_event)).scalar_one()
        )


def test_calls_that_come_together_are_answered_in_order(granted: Installation) -> None:
    async def story(tally: Tally) -> None:
        settled = await asyncio.gather(*(tally.submit(call_on()) for _ in range(700)))
        numbers = [answer.number for answer in settled]
        assert sorted(numbers) == list(range(1, 701))
        assert {answer.outcome for answer in settled} == {Outcome.POSTED}

    play(granted, story)
    assert event_count(granted) == 700


def test_a_call_that_was_given_up_is_counted_and_its_neighbours_are_answered(
    granted: Installation,
) -> None:
    async def story(tally: Tally) -> None:
        first, second = tally.submit(call_on()), tally.submit(call_on())
        first.cancel()
        assert (await second).outcome is Outcome.POSTED

    play(granted, story)
    assert event_count(granted) == 2


def test_stopping_settles_what_waits_and_takes_no_more(granted: Installation) -> None:
    async def run() -> None:
        tally = open_tally(granted.settings.usage_url)
        tally.start()
        waiting = [tally.submit(call_on()) for _ in range(5)]
        await tally.stop()
        assert [future.result().outcome for future in waiting] == [Outcome.POSTED] * 5
        with pytest.raises(Outage):
            await tally.submit(call_on())

    asyncio.run(run())


def test_a_void_and_a_key_go_through_the_tally(granted: Installation) -> None:
    key = "b" * 64

    async def story(tally: Tally) -> None:
        posted = await tally.submit(call_on(key_sha256=key, replay_until_us=NOON_US + 10))
        known = await tally.find_key("grt_one", key)
        assert known is not None
        assert (known.event_id, known.number) == (posted.event_id, 1)
        assert known.answer(REQUEST, NOON_US) is Outcome.DUPLICATE
        assert await tally.find_key("grt_one", "c" * 64) is None
        assert await tally.read_paid("grt_one", posted.number) == Paid("call", 1)
        void = Void("grt_one", posted.event_id, "evt_void", NOON_US, 502, key)
        assert (await tally.void(void)).outcome is Outcome.VOIDED
        assert (await tally.void(void)).outcome is Outcome.DUPLICATE
        assert await tally.find_key("grt_one", key) is None
        assert [await tally.read_paid("grt_one", number) for number in (2, 3)] == [None, None]

    play(granted, story)
    with granted.usage.connect() as connection:
        assert connection.execute(sa.select(usage_window.c.used_units)).scalar_one() == 0


def test_a_commit_that_fails_is_an_outage_and_nothing_is_counted(
    granted: Installation, engine_name: str
) -> None:
    async def story(tally: Tally) -> None:
        await asyncio.to_thread(execute, granted, FAILING_COMMIT[engine_name])
        answers = await asyncio.gather(
            *(tally.submit(call_on()) for _ in range(3)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [Outage] * 3
        await asyncio.to_thread(execute, granted, WORKING_COMMIT[engine_name])
        assert (await tally.submit(call_on())).number == 1

    play(granted, story)
    assert event_count(granted) == 1


def test_calls_wait_while_somebody_else_writes_and_the_loop_runs_on(
    granted: Installation,
) -> None:
    async def story(tally: Tally) -> None:
        engine = writing(make_engine(granted.settings.usage_url))
        connection = engine.connect()
        transaction = connection.begin()
        connection.exec_driver_sql("UPDATE grant_state SET sealed_to = 0")
        futures = [tally.submit(call_on()) for _ in range(3)]
        await asyncio.sleep(0.05)
        futures += [tally.submit(call_on()) for _ in range(3)]
        assert not any(future.done() for future in futures)
        transaction.rollback()
        settled = await asyncio.gather(*futures)
        assert sorted(answer.number for answer in settled) == [1, 2, 3, 4, 5, 6]
        connection.close()
        engine.dispose()

    play(granted, story)


def test_a_store_that_is_away_is_an_outage_and_comes_back_by_itself(
    granted: Installation, engine_name: str
) -> None:
    url = granted.settings.usage_url

    async def run() -> None:
        driver = open_driver(url)
        attribute = "_path" if engine_name == "sqlite" else "_dsn"
        right = getattr(driver, attribute)
        wrong = "/nowhere/usage.db" if engine_name == "sqlite" else "postgresql://127.0.0.1:9/none"
        setattr(driver, attribute, wrong)
        tally = Tally([driver])
        tally.start()
        with pytest.raises(Outage):
            await tally.submit(call_on())
        with pytest.raises(Outage):
            await tally.find_key("grt_one", "b" * 64)
        setattr(driver, attribute, right)
        assert (await tally.submit(call_on())).outcome is Outcome.POSTED
        await tally.stop()

    asyncio.run(run())


def test_settled_answers_know_the_counters_after_the_batch(granted: Installation) -> None:
    async def story(tally: Tally) -> None:
        settled: list[Settled] = await asyncio.gather(
            *(tally.submit(call_on(units=units)) for units in (1, 2, 3))
        )
        assert list(settled[-1].used_units) == [6]

    play(granted, story)
