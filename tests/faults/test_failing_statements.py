"""Every statement of metering's flows fails in turn: nothing half-done stays, and a retry works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from app.kernel.refusals import Outage
from app.metering.granting import apply_grant, load_grant
from app.metering.grants import CompiledGrant
from app.metering.history.closing import close_ranges
from app.metering.history.segments import seal_due
from app.metering.tables import grant_state, usage_event, usage_period, usage_segment
from app.metering.tally.calls import Outcome, Settled, Void
from app.metering.tally.tally import Tally, open_tally
from tests.faults.judging import Note, Verdict, counted
from tests.faults.statements import (
    RAISE,
    TERMINATE,
    Countdown,
    failing_engines,
    failing_postgres,
    failing_sqlite,
    prepare_postgres,
)
from tests.metering.calling import NOON_US, call_on
from tests.metering.grant_documents import grant_document, quota
from tests.metering.store import fsck, give, settle

WINDOWS = [quota("day", 1_000), quota("contract", None)]
SETTLING = "a statement of settling or taking back fails, each in turn"
OTHERS = "a statement of granting, sealing or closing fails, each in turn"
MANY = 200
Failing = Callable[[int], AbstractContextManager[Countdown]]


async def through_tally(
    installation: Installation, work: Callable[[Tally], list[object]]
) -> set[str]:
    """What became of the calls and voids that `work` submits: event ids; none after an outage."""
    tally = open_tally(installation.settings.usage_url)
    tally.start()
    try:
        answers = await asyncio.gather(*work(tally), return_exceptions=True)
    finally:
        await tally.stop()
    outages = [answer for answer in answers if isinstance(answer, Outage)]
    assert len(outages) in (0, len(answers)), "one transaction, one fate"
    settled = [answer for answer in answers if isinstance(answer, Settled)]
    assert {answer.outcome for answer in settled} <= {Outcome.POSTED, Outcome.VOIDED}
    assert len(outages) + len(settled) == len(answers), answers
    return {answer.event_id for answer in settled}


def calls(grant: CompiledGrant, tally: Tally) -> list[object]:
    """A batch of three calls, the last of them under a key."""
    key = {"key_sha256": new_id("key")[-26:].rjust(64, "0"), "replay_until_us": NOON_US + 1}
    return [tally.submit(call_on(grant, **more)) for more in ({}, {}, key)]


def play_settling(installation: Installation, failing: Failing, *, recovers: bool) -> Verdict:
    """Settle a batch, and take a call back, while each statement fails in turn."""
    grant = give(installation, windows=WINDOWS)
    acknowledged: set[str] = set()
    times = 0
    for number in range(1, MANY):
        before = counted(installation)
        with failing(number) as countdown:
            told = asyncio.run(through_tally(installation, lambda tally: calls(grant, tally)))
        assert counted(installation) == before | told, countdown.seen[-1:]
        acknowledged |= told
        if not countdown.has_failed:
            break
        assert bool(told) is recovers, countdown.seen[-1:]
        times += 1
        again = asyncio.run(through_tally(installation, lambda tally: calls(grant, tally)))
        assert len(again) == 3, "it works again at once"
        acknowledged |= again
    assert times > 4, "the statements were really counted"
    ids = counted(installation)
    lost, untold = len(acknowledged - ids), len(ids - acknowledged)
    return Verdict(times, len(acknowledged), lost=lost, twice=untold)


def play_voiding(installation: Installation, failing: Failing, *, recovers: bool) -> Verdict:
    """Take events back while each statement fails in turn; each is taken back once."""
    grant = give(installation, windows=WINDOWS)
    times = 0
    for number in range(1, MANY):
        [posted] = settle(installation, call_on(grant))
        void = Void("grt_one", posted.event_id, new_id("evt"), NOON_US, 502)
        with failing(number) as countdown:
            told = asyncio.run(
                through_tally(installation, lambda tally, one=void: [tally.void(one)])
            )
        assert fsck(installation) == [], countdown.seen[-1:]
        assert taken_back(installation, posted.number) == len(told), countdown.seen[-1:]
        if not countdown.has_failed:
            break
        assert bool(told) is recovers, countdown.seen[-1:]
        times += 1
        if not told:
            asyncio.run(through_tally(installation, lambda tally, one=void: [tally.void(one)]))
        assert taken_back(installation, posted.number) == 1
    assert times > 2, "the statements were really counted"
    return Verdict(times, times)


def taken_back(installation: Installation, number: int) -> int:
    """How many events take back the one with this number."""
    with installation.usage.connect() as connection:
        return connection.scalars(
            sa.select(sa.func.count()).where(usage_event.c.voids == number)
        ).one()


Play = Callable[..., Verdict]


@pytest.mark.parametrize("play", [play_settling, play_voiding])
class TestTally:
    """The batch writer, on the connections of its own drivers."""

    @pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
    def test_a_statement_that_fails_in_sqlite(
        self, installation: Installation, play: Play, note: Note
    ) -> None:
        note(SETTLING, play(installation, failing_sqlite, recovers=False))

    @pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
    @pytest.mark.parametrize(
        ("how", "recovers"), [(RAISE, False), (TERMINATE, True)], ids=["fails", "ends"]
    )
    def test_a_change_that_fails_in_postgresql_or_whose_process_ends(
        self, installation: Installation, play: Play, how: str, recovers: bool, note: Note
    ) -> None:
        prepare_postgres(installation, how)

        def failing(number: int) -> AbstractContextManager[Countdown]:
            return failing_postgres(installation, number)

        note(SETTLING, play(installation, failing, recovers=recovers))


def test_a_grant_comes_into_force_whole_or_not_at_all(
    installation: Installation, note: Note
) -> None:
    give(installation, windows=WINDOWS)
    for number in range(1, MANY):
        document = grant_document(epoch=number + 1, windows=WINDOWS)
        before = in_force(installation)
        with failing_engines([installation.usage], number) as countdown:
            told = attempt(lambda new=document: applied(installation, new))
        assert in_force(installation) == (number + 1 if told else before), countdown.seen[-1:]
        assert fsck(installation) == []
        if not countdown.has_failed:
            break
        assert not told
        assert applied(installation, document)
    assert number > 4, "the statements were really counted"
    note(OTHERS, Verdict(number - 1, 0))


def test_a_period_is_closed_whole_or_not_at_all(installation: Installation, note: Note) -> None:
    grant = give(installation, windows=WINDOWS)
    for number in range(1, MANY):
        settle(installation, call_on(grant, NOON_US + 10 * number))
        until_us = NOON_US + 10 * number + 5
        with failing_engines([installation.usage], number) as countdown:
            told = attempt(lambda at=until_us: close_ranges(installation, ["grt_one"], at))
        assert fsck(installation) == [], countdown.seen[-1:]
        if not countdown.has_failed:
            break
        assert not told
        [closed] = close_ranges(installation, ["grt_one"], until_us).values()
        assert (closed.first_number, closed.last_number, closed.units) == (number, number, 1)
        assert len(rows(installation, usage_period)) == number
    assert number > 4, "the statements were really counted"
    note(OTHERS, Verdict(number - 1, 0))


def test_events_are_sealed_and_recorded_once_whatever_fails(
    installation: Installation, note: Note
) -> None:
    grant = give(installation, windows=WINDOWS)
    for number in range(1, MANY):
        settle(installation, call_on(grant))
        stores = [installation.usage, installation.market]
        with failing_engines(stores, number) as countdown:
            try:
                seal_due(installation)
            except (Outage, sa.exc.OperationalError):
                assert countdown.has_failed
        assert fsck(installation) == [], countdown.seen[-1:]
        seal_due(installation)
        assert fsck(installation) == []
        [state] = rows(installation, grant_state)
        assert state.sealed_to == state.last_number == number
        assert_recorded(installation)
        if not countdown.has_failed:
            break
    assert number > 10, "the statements were really counted"
    note(OTHERS, Verdict(number - 1, 0))


def attempt(work: Callable[[], object]) -> object:
    """What `work` comes to; None after an outage."""
    try:
        return work()
    except Outage:
        return None


def applied(installation: Installation, document: dict[str, Any]) -> bool:
    with installation.usage_transaction() as connection:
        return apply_grant(connection, document, NOON_US)


def in_force(installation: Installation) -> int:
    """The epoch of the grant."""
    with installation.usage.connect() as connection:
        grant = load_grant(connection, "grt_one")
        assert grant is not None
        return grant.epoch


def rows(installation: Installation, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with installation.usage.connect() as connection:
        return list(connection.execute(sa.select(table)))


def assert_recorded(installation: Installation) -> None:
    """Each segment has one leaf, and names it."""
    named = [segment.leaf_id for segment in rows(installation, usage_segment)]
    with installation.transaction(OPERATOR, writes=False) as session:
        leaves = session.exec(select(Leaf.id).where(Leaf.kind == "usage:sealed")).all()
    assert sorted(named) == sorted(leaves)
