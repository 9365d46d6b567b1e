"""When an event counts, and what a window's events come to.

An event counts when it settles, but for a correction: that counts when the event did which it takes
the place of. It stands in the same windows and burns the same unit grants; what was granted since
is none of its business, and a full window of today does not keep use of last month from being
lowered.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.metering.tables import usage_event, usage_report

ITS_REPORT = sa.and_(
    usage_report.c.grant_id == usage_event.c.grant_id,
    usage_report.c.number == usage_event.c.number,
)
"""The report that an event was posted by; outer-join it for `COUNTS_AT_US`."""
COUNTS_AT_US = sa.func.coalesce(usage_report.c.counts_at_us, usage_event.c.settled_at_us)
"""The moment at which an event counts."""


def counted_in(window: sa.Row[Any]) -> sa.Select[Any]:
    """What stands in a row of `usage_window`: the `units` of its posted events that were not taken
    back and that no unit grant gave, and the number of the `last`, taken back or not.
    """
    void = usage_event.alias("void")
    taken_back = sa.exists().where(
        void.c.grant_id == usage_event.c.grant_id, void.c.voids == usage_event.c.number
    )
    units = sa.case((taken_back, 0), else_=usage_event.c.units - usage_event.c.granted_units)
    return (
        sa.select(
            sa.func.coalesce(sa.func.sum(units), 0).label("units"),
            sa.func.max(usage_event.c.number).label("last"),
        )
        .outerjoin(usage_report, ITS_REPORT)
        .where(
            usage_event.c.grant_id == window.grant_id,
            usage_event.c.meter == window.meter,
            usage_event.c.kind == "posted",
            # Nothing counts after it has settled: this much the index can be asked for.
            usage_event.c.settled_at_us >= window.starts_at_us,
            window.starts_at_us <= COUNTS_AT_US,
            window.ends_at_us > COUNTS_AT_US,
        )
    )
