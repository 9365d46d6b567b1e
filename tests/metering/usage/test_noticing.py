"""Both sides are told at 80 and at 100 per cent, each once for a window and a limit."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlmodel import select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock, from_epoch_us
from app.kernel.refusals import Outage
from app.metering.granting import apply_grant
from app.metering.grants import compiled_from
from app.metering.usage import checking_notices
from app.metering.usage.noticing import due_in, notice_due
from app.notices.models import Notice
from tests.breaking import broken
from tests.faults.statements import failing_engines
from tests.metering.calling import call_on
from tests.metering.grant_documents import BUYER, PROVIDER, grant_document, local_us, quota
from tests.metering.store import give, settle, take_back

NOON = local_us("2026-11-02 12:00:00")


class Window(NamedTuple):
    """A row of `usage_window`, as far as the rule reads it."""

    used_units: int
    kind: str = "month"
    meter: str = "call"
    starts_at_us: int = 0
    ends_at_us: int = 1


@pytest.fixture(autouse=True)
def noon(request: pytest.FixtureRequest) -> None:
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock").set_to(from_epoch_us(NOON))


@pytest.mark.parametrize(
    ("quotas", "window", "wanted"),
    [
        ([quota("month", 10)], Window(7), []),
        ([quota("month", 10)], Window(8), [(10, 80, "block")]),
        ([quota("month", 10)], Window(10), [(10, 80, "block"), (10, 100, "block")]),
        ([quota("month", 10, "charge")], Window(25), [(10, 80, "charge"), (10, 100, "charge")]),
        # 80 per cent of 3 are 2.4 units: reached by the third, and of 1 by the first.
        ([quota("month", 3)], Window(2), []),
        ([quota("month", 1)], Window(1), [(1, 80, "block"), (1, 100, "block")]),
        ([quota("month", 2**53 - 1)], Window(2**53 - 2), [(2**53 - 1, 80, "block")]),
        # Two quotas of one length are told of by their limits; of one limit, by the stricter.
        ([quota("month", 10, "charge"), quota("month", 20)], Window(9), [(10, 80, "charge")]),
        ([quota("month", 10), quota("month", 10, "charge")], Window(9), [(10, 80, "block")]),
        ([quota("month", 10, "charge"), quota("month", 10)], Window(9), [(10, 80, "block")]),
        # Nothing to reach, another window, another meter.
        ([quota("month", None)], Window(99), []),
        ([quota("month", 0)], Window(0), []),
        ([quota("day", 10)], Window(99), []),
        ([quota("month", 10)], Window(99, meter="row"), []),
    ],
)
def test_what_is_told_of_a_window(quotas: list[Any], window: Window, wanted: list[Any]) -> None:
    grant = compiled_from(grant_document(windows=quotas))
    found = list(due_in(grant, [window]))  # type: ignore[list-item]
    assert [(one.limit_units, one.percent, one.overage) for one in found] == wanted


def told(installation: Installation, organisation: str = BUYER) -> list[tuple[int, int]]:
    """What an organisation was told: limits and per cent, the oldest first."""
    with installation.transaction(OPERATOR, writes=False) as session:
        rows = session.exec(
            select(Notice).where(Notice.organisation_id == organisation).order_by(Notice.id)
        ).all()
        return [(row.facts["limit_units"], row.facts["percent"]) for row in rows]


def leaves(installation: Installation) -> int:
    with installation.transaction(OPERATOR, writes=False) as session:
        return len(session.exec(select(Leaf.id).where(Leaf.kind == "usage:window_told")).all())


def fsck(installation: Installation) -> list[str]:
    with (
        installation.usage_transaction(writes=False) as usage,
        installation.snapshot(OPERATOR) as session,
    ):
        return list(checking_notices.problems(usage, session, usage))


def test_both_sides_are_told_once_as_a_window_fills(installation: Installation) -> None:
    grant = give(installation, windows=[quota("month", 10), quota("contract", 1000)])
    settle(installation, *(call_on(grant, NOON) for _ in range(7)))
    notice_due(installation)
    assert told(installation) == []
    first, *_ = settle(installation, call_on(grant, NOON))
    for _ in range(2):
        notice_due(installation)
        assert told(installation) == told(installation, PROVIDER) == [(10, 80)]
    take_back(installation, first.event_id, NOON)
    settle(installation, *(call_on(grant, NOON) for _ in range(3)))
    for _ in range(2):
        notice_due(installation)
        assert told(installation) == told(installation, PROVIDER) == [(10, 80), (10, 100)]
    assert leaves(installation) == 2
    assert fsck(installation) == []


def test_another_limit_and_another_window_are_told_of_anew(
    installation: Installation, clock: SetClock
) -> None:
    grant = give(installation, windows=[quota("day", 5)])
    settle(installation, call_on(grant, NOON, units=5))
    notice_due(installation)
    assert told(installation) == [(5, 80), (5, 100)]
    raised = give(installation, epoch=2, windows=[quota("day", 10)])
    notice_due(installation)
    assert len(told(installation)) == 2
    # The day ends with its last call, and nobody looks before the next has begun.
    last = local_us("2026-11-02 23:59:59")
    settle(installation, call_on(raised, last, units=3))
    clock.set_to(from_epoch_us(last + 2_000_000))
    settle(installation, call_on(raised, last + 1_000_000, units=9))
    notice_due(installation)
    assert told(installation)[2:] == [(10, 80), (10, 80)]
    lowered = grant_document(epoch=3, windows=[quota("day", 9)])
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, lowered, installation.clock.now_us())
    notice_due(installation)
    assert told(installation)[4:] == [(9, 80), (9, 100)], "of today, and without any call"
    assert fsck(installation) == []


def test_a_window_is_told_of_once_whatever_fails_on_the_way(installation: Installation) -> None:
    """Every statement and commit in turn, in either store; and each time again until it is done."""
    number = 0
    while True:
        number += 1
        name = f"grt_{number}"
        grant = give(installation, name, windows=[quota("month", 10)])
        settle(installation, call_on(grant, NOON, units=8))
        engines = (installation.usage, installation.market)
        with failing_engines(engines, number) as countdown:
            try:
                notice_due(installation)
            except Outage:
                pass
            except sa.exc.OperationalError:
                pass
        done = not countdown.has_failed
        notice_due(installation)
        for organisation in (BUYER, PROVIDER):
            assert told(installation, organisation) == [(10, 80)] * number, countdown.seen[-1:]
        assert leaves(installation) == number
        if done:
            break
    assert number > 12
    assert fsck(installation) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("DELETE FROM notice WHERE organisation_id = 'org_buyer'", "was not told to both sides"),
        ("UPDATE notice SET facts = '{}'", "was told otherwise than it was seen"),
        ("DELETE FROM audit_leaf", "has no leaf that says that it was told"),
    ],
)
def test_fsck_names_what_was_not_told_as_it_was_seen(
    installation: Installation, statement: str, wanted: str
) -> None:
    settle(installation, call_on(give(installation, windows=[quota("month", 10)]), NOON, units=9))
    notice_due(installation)
    name = f"A1: window:grt_one:call:month:{local_us('2026-11-01 00:00:00')}:10:80 "
    with (
        broken(installation, [statement]) as session,
        installation.usage_transaction(writes=False) as usage,
    ):
        assert list(checking_notices.problems(usage, session, usage)) == [name + wanted]


def test_fsck_names_a_notice_of_nothing_and_a_window_that_waits(
    installation: Installation, clock: SetClock
) -> None:
    settle(installation, call_on(give(installation, windows=[quota("month", 10)]), NOON, units=9))
    notice_due(installation)
    assert fsck(installation) == []
    with installation.usage_transaction() as connection:
        connection.execute(sa.text("UPDATE usage_notice SET told_at_us = NULL, seen_at_us = 1"))
    assert [problem.rpartition(":80 ")[2] for problem in fsck(installation)] == [
        "has been told to nobody for 10 minutes"
    ]
    with installation.usage_transaction() as connection:
        connection.execute(sa.text("DELETE FROM usage_notice"))
    assert [problem.partition(" tells ")[2] for problem in fsck(installation)] == [
        "of a window that did not fill"
    ] * 2
