"""A period is closed as a range of numbers: no call is between two, and none is in two."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.engine import WRITES
from app.db.installation import Installation
from app.metering.grants import frame_at
from app.metering.history import closing
from app.metering.history.closing import (
    ClosedRange,
    PeriodClosedBeyond,
    close_ranges,
    units_between,
)
from app.metering.tally.calls import Outcome
from app.metering.tally.tally import open_tally
from tests.metering.calling import call_on
from tests.metering.grant_documents import local_us, quota
from tests.metering.store import fsck, give, settle, take_back

DECEMBER = local_us("2026-12-01 00:00:00")
JANUARY = local_us("2027-01-01 00:00:00")
SECOND_US = 1_000_000


def close(installation: Installation, up_to_us: int, grant_id: str = "grt_one") -> ClosedRange:
    return close_ranges(installation, [grant_id], up_to_us)[grant_id]


def test_a_call_belongs_to_the_period_of_its_settled_moment(installation: Installation) -> None:
    grant = give(installation)
    settle(
        installation,
        call_on(grant, DECEMBER - SECOND_US, units=2),
        call_on(grant, DECEMBER - 1, units=3),
        call_on(grant, DECEMBER, units=4),
    )
    assert close(installation, DECEMBER) == ClosedRange(1, 2, 5)
    assert close(installation, JANUARY) == ClosedRange(3, 3, 4)
    assert fsck(installation) == []


def test_closing_again_gives_the_same_range(installation: Installation) -> None:
    grant = give(installation)
    settle(installation, call_on(grant, DECEMBER - 1))
    assert close(installation, DECEMBER) == ClosedRange(1, 1, 1)
    settle(installation, call_on(grant, DECEMBER))
    assert close(installation, DECEMBER) == ClosedRange(1, 1, 1)


def test_a_period_without_calls_is_an_empty_range(installation: Installation) -> None:
    grant = give(installation)
    assert close(installation, DECEMBER) == ClosedRange(1, 0, 0)
    assert close(installation, JANUARY) == ClosedRange(1, 0, 0)
    settle(installation, call_on(grant, JANUARY))
    assert close(installation, local_us("2027-02-01 00:00:00")) == ClosedRange(1, 1, 1)
    assert fsck(installation) == []


def test_a_grant_that_was_never_used_or_applied_closes_empty(installation: Installation) -> None:
    assert close(installation, DECEMBER, "grt_unknown") == ClosedRange(1, 0, 0)


def test_a_clock_that_runs_behind_cannot_settle_into_a_closed_period(
    installation: Installation,
) -> None:
    grant = give(installation, windows=[quota("month", 10)])
    settle(installation, call_on(grant, DECEMBER - SECOND_US))
    close(installation, DECEMBER)
    late = call_on(grant, DECEMBER - 1)

    async def run() -> None:
        tally = open_tally(installation.settings.usage_url)
        tally.start()
        answer = await tally.submit(late)
        assert (answer.outcome, answer.settled_at_us) == (Outcome.STALE_WINDOW, DECEMBER)
        late.frame = frame_at(grant, DECEMBER)
        answer = await tally.submit(late)
        assert (answer.outcome, answer.number) == (Outcome.POSTED, 2)
        assert answer.settled_at_us == DECEMBER
        await tally.stop()

    asyncio.run(run())
    assert close(installation, JANUARY) == ClosedRange(2, 2, 1)
    assert fsck(installation) == []


def test_what_is_taken_back_after_closing_lessens_the_next_period(
    installation: Installation,
) -> None:
    grant = give(installation)
    first, _ = settle(
        installation, call_on(grant, DECEMBER - 2, units=5), call_on(grant, DECEMBER - 1)
    )
    assert close(installation, DECEMBER) == ClosedRange(1, 2, 6)
    take_back(installation, first.event_id, DECEMBER)
    assert close(installation, JANUARY) == ClosedRange(3, 3, -5)
    assert close(installation, DECEMBER) == ClosedRange(1, 2, 6)
    assert fsck(installation) == []


def test_an_earlier_period_cannot_be_closed_after_a_later_one(installation: Installation) -> None:
    give(installation)
    close(installation, JANUARY)
    with pytest.raises(PeriodClosedBeyond):
        close(installation, DECEMBER)


def test_units_are_told_apart_by_the_plan_that_they_were_settled_under(
    installation: Installation,
) -> None:
    old = give(installation, plan_id="pln_old")
    settle(installation, call_on(old, units=2), call_on(old, units=3))
    new = give(installation, epoch=2, plan_id="pln_new", terms_sha256="b" * 64, meter="row")
    settle(installation, call_on(new, units=40))
    with installation.usage_transaction(writes=False) as connection:
        parts = units_between(connection, "grt_one", 1, 3)
        assert [(part.plan_id, part.meter, part.units, part.calls) for part in parts] == [
            ("pln_old", "call", 5, 2),
            ("pln_new", "row", 40, 1),
        ]
        assert [part.units for part in units_between(connection, "grt_one", 2, 2)] == [3]


def test_closing_while_calls_come_loses_none_and_counts_none_twice(
    installation: Installation,
) -> None:
    grant = give(installation)
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    moments = [DECEMBER + chance.randrange(-5, 5) for _ in range(300)]

    async def run() -> ClosedRange:
        tally = open_tally(installation.settings.usage_url)
        tally.start()

        async def call(at_us: int) -> None:
            await asyncio.sleep(chance.random() / 10)
            assert (await tally.submit(call_on(grant, at_us))).outcome is Outcome.POSTED

        calls = asyncio.gather(*(call(at_us) for at_us in moments))
        closed = await asyncio.to_thread(close, installation, DECEMBER)
        await calls
        await tally.stop()
        return closed

    closed = asyncio.run(run())
    rest = close(installation, JANUARY)
    assert closed.first_number == 1
    assert rest.first_number == closed.last_number + 1
    assert rest.last_number == closed.units + rest.units == len(moments)
    assert fsck(installation) == []


def test_calls_that_settle_while_closing_looks_are_in_the_period_of_their_moment(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = give(installation)
    settle(installation, call_on(grant, DECEMBER - SECOND_US))
    look = closing._last_before

    def look_and_be_overtaken(connection: sa.Connection, grant_id: str, up_to_us: int) -> int:
        seen = look(connection, grant_id, up_to_us)
        settle(installation, call_on(grant, DECEMBER - 1, units=2), call_on(grant, DECEMBER))
        return seen

    monkeypatch.setattr(closing, "_last_before", look_and_be_overtaken)
    assert close(installation, DECEMBER) == ClosedRange(1, 2, 3)
    assert fsck(installation) == []


def test_no_call_waits_while_a_period_is_added_up(installation: Installation) -> None:
    give(installation)
    adding: list[bool] = []

    def note(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "sum(" in statement:
            adding.append(bool(connection.get_execution_options().get(WRITES)))

    sa.event.listen(installation.usage, "before_cursor_execute", note)
    close(installation, DECEMBER)
    assert adding == [False]


def test_many_grants_are_closed_each_by_its_own_numbers(installation: Installation) -> None:
    names = [f"grt_{number:02}" for number in range(closing.LOCKED_AT_ONCE + 1)]
    for place, name in enumerate(names, 1):
        settle(installation, call_on(give(installation, name), DECEMBER - 1, units=place))
    closed = close_ranges(installation, [*names, "grt_unknown"], DECEMBER)
    assert [closed[name] for name in names] == [
        ClosedRange(1, 1, place) for place in range(1, len(names) + 1)
    ]
    assert closed["grt_unknown"] == ClosedRange(1, 0, 0)
