"""Each broken row is named: one change by SQL for every invariant of the meter."""

from __future__ import annotations

import pytest

from app.db.installation import Installation
from app.metering.history.closing import close_ranges
from app.metering.history.segments import seal_due
from tests.metering.calling import NOON_US, call_on
from tests.metering.grant_documents import quota
from tests.metering.store import execute, fsck, give, settle, take_back

LATER_US = NOON_US + 1_000_000


@pytest.fixture
def busy(installation: Installation) -> Installation:
    """Two grants, seven events, one of them a void; two segments and a closed period."""
    give(installation, "grt_two")
    grant = give(installation, windows=[quota("day", 10), quota("contract", 20)])
    first, *_ = settle(
        installation, *(call_on(grant, event_id=f"evt_{number}") for number in range(1, 4))
    )
    seal_due(installation)
    close_ranges(installation, ["grt_one"], LATER_US)
    take_back(installation, first.event_id, LATER_US)
    settle(installation, call_on(grant, LATER_US, event_id="evt_5", key_sha256="a" * 64))
    seal_due(installation)
    return installation


def test_a_store_that_was_only_used_has_no_problems(busy: Installation) -> None:
    assert fsck(busy) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (
            "UPDATE usage_window SET used_units = used_units + 1 WHERE kind = 'day'",
            "M1: window call/day/",
        ),
        (
            "UPDATE usage_window SET used_units = used_units - 1 WHERE kind = 'contract'",
            "M1: window call/contract/",
        ),
        ("UPDATE usage_event SET units = 7 WHERE number = 3", "M1: window call/contract/"),
        ("DELETE FROM usage_window", "M1: event evt_"),
        ("UPDATE usage_event SET units = 7 WHERE number = 4", "M1: event evt_void_evt_1 takes"),
        ("UPDATE usage_event SET voids = 2, units = 9 WHERE number = 4", "M1: event evt_void"),
        ("DELETE FROM usage_event WHERE number = 2", "A2: event 2 of grt_one is missing"),
        ("DELETE FROM usage_event WHERE number = 5", "A2: the last event of grt_one is 4"),
        ("UPDATE usage_event SET number = 9 WHERE number = 5", "A2: event 5 of grt_one is missing"),
        (
            "UPDATE usage_event SET settled_at_us = settled_at_us - 5000000 WHERE number = 5",
            "A2: event evt_5 was settled before",
        ),
        ("UPDATE usage_event SET epoch = 7 WHERE number = 3", "A2: event evt_3 was settled under"),
        ("UPDATE grant_state SET last_settled_at_us = 5", "A2: grt_one was last settled before"),
        ("UPDATE usage_event SET status = 201 WHERE number = 2", "A2: segment 1–3 of grt_one is"),
        ("DELETE FROM usage_segment WHERE first_number = 1", "A2: segment 4–5 of grt_one should"),
        ("DELETE FROM usage_segment WHERE first_number = 4", "A2: grt_one is sealed to 3"),
        ("UPDATE usage_window SET limit_units = 11", "M1: window call/contract/"),
        ("UPDATE usage_window SET limit_units = NULL", "M1: window call/contract/"),
        ("DELETE FROM grant_terms WHERE grant_id = 'grt_one'", "A2: event evt_"),
        ("UPDATE usage_event SET grant_id = 'grt_x' WHERE number = 5", "A2: event evt_5 was"),
        ("UPDATE usage_key SET event_id = 'evt_x'", "M1: a key of grt_one names event evt_x"),
        (
            "UPDATE usage_key SET event_id = 'evt_1', number = 1",
            "M1: a key of grt_one gives event evt_1, which was taken back",
        ),
        ("UPDATE usage_key SET number = 3", "M1: a key of grt_one names event evt_5"),
        ("UPDATE usage_period SET last_number = 9", "A2: the period of grt_one until "),
        ("UPDATE usage_period SET first_number = 2", "A2: the period of grt_one until "),
        ("UPDATE usage_period SET last_number = 2", "A2: event evt_3 is on the wrong side of"),
        ("UPDATE usage_period SET last_number = 4", "A2: event evt_void_evt_1 is on the wrong"),
    ],
)
def test_a_broken_row_is_named(busy: Installation, statement: str, wanted: str) -> None:
    assert execute(busy, statement) > 0
    found = fsck(busy)
    assert any(problem.startswith(wanted) for problem in found), found


def test_an_event_that_was_settled_twice_is_named(busy: Installation) -> None:
    columns = "number, event_id, epoch, kind, settled_at_us, meter, units, operation, status, bytes"
    execute(
        busy,
        f"INSERT INTO usage_event (grant_id, {columns}, request_sha256)"
        f" SELECT 'grt_two', {columns}, request_sha256 FROM usage_event WHERE number = 1",
    )
    assert "M2: event evt_1 was settled more than once" in fsck(busy)


def test_a_counter_over_its_limit_is_named_where_no_constraint_holds(
    busy: Installation, engine_name: str
) -> None:
    if engine_name == "postgres":
        execute(busy, "ALTER TABLE usage_window DROP CONSTRAINT ck_usage_window_limit")
    with busy.usage_transaction() as connection:
        if engine_name == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql("UPDATE usage_window SET limit_units = 1 WHERE kind = 'day'")
    assert any("is over its limit of 1" in problem for problem in fsck(busy))
