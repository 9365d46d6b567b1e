"""An event is found by its id alone, by whatever clock it was made, and only where it may be."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.ids import made_at_ms, new_id
from app.metering.tables import grant_state
from app.metering.usage.finding import place_of
from tests.metering.calling import call_on
from tests.metering.store import give, settle


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = made_at_ms(new_id("evt"))
    assert made is not None and before <= made <= before + 60_000
    assert made_at_ms("evt_nothing") is None


def test_an_event_is_found_grant_by_grant_and_never_by_a_scan_of_events(
    installation: Installation,
) -> None:
    """Ids are made by the machine's clock, and settled weeks before that by the set one."""
    for name in ("grt_one", "grt_two", "grt_three"):
        grant = give(installation, name)
        calls = [call_on(grant) for _ in range(3)]
        settle(installation, *calls)
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    with installation.usage.connect() as connection:
        assert place_of(connection, calls[1].event_id) == ("grt_three", 2)
        assert place_of(connection, new_id("evt")) is None
        assert place_of(connection, "evt_nothing") is None
        others = grant_state.c.grant_id != "grt_three"
        assert place_of(connection, calls[1].event_id, others) is None
        sa.event.listen(installation.usage, "before_cursor_execute", note)
        place_of(connection, calls[1].event_id)
        if connection.dialect.name == "sqlite":
            (question,) = asked
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}", ("evt_x",)).all()
            steps = [row.detail for row in plan if "usage_event" in row.detail]
            assert steps
            assert all("grant_id=? AND event_id=?" in step for step in steps), steps
