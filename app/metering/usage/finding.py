"""Finding an event by its id alone, without an index of all events: that would cost every call.

Events are found by grant, so this asks grant by grant, which costs by the number of grants and not
by that of events (measured with 5,000 grants and 300,000 events: 20 ms instead of 380 on SQLite,
where the difference grows with the events). On PostgreSQL each month has an index of its own: the
id tells when it was made, so the months around that are asked first, and all of them only when it
is not there (a clock that was set, or an id that nobody made).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.db.engine import is_sqlite
from app.kernel.ids import made_at_ms
from app.metering.tables import grant_state, usage_event

DAY_US = 24 * 3600 * 1_000_000


def place_of(
    connection: sa.Connection, event_id: str, *grants: sa.ColumnElement[bool]
) -> tuple[str, int] | None:
    """The grant and number of an event in the store, among the grants that meet the conditions."""
    made_ms = made_at_ms(event_id)
    if made_ms is not None and not is_sqlite(connection):
        made_us = made_ms * 1000
        around = usage_event.c.settled_at_us.between(made_us - DAY_US, made_us + DAY_US)
        found = _place(connection, event_id, grants, around)
        if found is not None:
            return found
    return _place(connection, event_id, grants, sa.true())


def _place(
    connection: sa.Connection, event_id: str, grants: Any, when: sa.ColumnElement[bool]
) -> tuple[str, int] | None:
    # A scalar subquery is asked for each grant: no planner makes a scan of all events of it.
    number = (
        sa.select(usage_event.c.number)
        .where(
            usage_event.c.grant_id == grant_state.c.grant_id,
            usage_event.c.event_id == event_id,
            when,
        )
        .correlate(grant_state)
        .scalar_subquery()
    )
    asked = sa.select(grant_state.c.grant_id, number.label("number")).where(*grants).subquery()
    row = connection.execute(sa.select(asked).where(asked.c.number.is_not(None))).first()
    return None if row is None else (str(row.grant_id), int(row.number))
