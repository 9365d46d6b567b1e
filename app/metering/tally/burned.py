"""Which moment's unit grants an event burned: its own, or that of the report which it corrects.

A correction stands in the place of what it corrects. It burns what was there to burn when the first
of its line was settled: a trial that is over by now pays for what it paid for, and nothing that was
granted since does.
"""

from __future__ import annotations

import sqlalchemy as sa

from app.metering.tables import usage_event, usage_report


def burning_moment(connection: sa.Connection, grant_id: str, number: int) -> int | None:
    """When the first event of the line was settled that the event `number` ends; None when its row
    is in the archive.
    """
    line = (
        sa.select(usage_report.c.number, usage_report.c.corrects)
        .where(usage_report.c.grant_id == grant_id, usage_report.c.number == number)
        .cte("line", recursive=True)
    )
    line = line.union_all(
        sa.select(usage_report.c.number, usage_report.c.corrects).where(
            usage_report.c.grant_id == grant_id, usage_report.c.number == line.c.corrects
        )
    )
    first = sa.select(sa.func.coalesce(sa.func.min(line.c.number), number)).scalar_subquery()
    return connection.execute(
        sa.select(usage_event.c.settled_at_us).where(
            usage_event.c.grant_id == grant_id, usage_event.c.number == first
        )
    ).scalar_one_or_none()
