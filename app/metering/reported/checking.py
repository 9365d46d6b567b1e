"""Does each report stand beside the event that it posted? Read-only; each names the first row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.metering.reported.answers import AHEAD_AT_MOST_US, REPORTED
from app.metering.tables import grant_state, grant_terms, usage_event, usage_report


def report_problems(connection: sa.Connection, grant_id: str | None = None) -> Iterator[str]:
    """Reports without their event or of another provider, corrections that took nothing back, and
    events of reported grants that nobody reported.

    Of a grant, which needs its whole `history`; else of all that have nothing in the archive.
    """
    archived = sa.select(grant_state.c.grant_id).where(grant_state.c.archived_to > 0)

    def of_those(column: sa.Column[str]) -> sa.ColumnElement[bool]:
        return column.not_in(archived) if grant_id is None else column == grant_id

    for statement, wrong in (
        (_WITHOUT_EVENT, "names event {0.number} of {0.grant_id}, which was not posted"),
        (_FOREIGN, "is not of the provider of {0.grant_id}"),
        (_AHEAD, "is of use that came after it"),
        (_ELSEWHEN, "counts at another moment than event {0.number} of {0.grant_id} may"),
        (_NOTHING_TAKEN_BACK, "corrects event {0.corrects} of {0.grant_id}, which still counts"),
    ):
        mine = of_those(usage_report.c.grant_id)
        row = connection.execute(statement.where(mine).limit(1)).one_or_none()
        if row is not None:
            yield f"M2: report {row.source_id} of {row.source} {wrong.format(row)}"
    mine = of_those(usage_event.c.grant_id)
    row = connection.execute(_UNREPORTED.where(mine).limit(1)).one_or_none()
    if row is not None:
        yield f"M2: event {row.event_id} was posted on {row.grant_id}, but nobody reported it"


_ITS_EVENT = sa.and_(
    usage_event.c.grant_id == usage_report.c.grant_id,
    usage_event.c.number == usage_report.c.number,
    usage_event.c.kind == "posted",
)
_IN_ORDER = (usage_report.c.grant_id, usage_report.c.number)
_WITHOUT_EVENT: sa.Select[Any] = (
    sa.select(usage_report)
    .outerjoin(usage_event, _ITS_EVENT)
    .where(usage_event.c.grant_id.is_(None))
    .order_by(*_IN_ORDER)
)
_FOREIGN: sa.Select[Any] = (
    sa.select(usage_report)
    .join(grant_state, grant_state.c.grant_id == usage_report.c.grant_id)
    .where(grant_state.c.provider_id != usage_report.c.provider_id)
    .order_by(*_IN_ORDER)
)
_AHEAD: sa.Select[Any] = (
    sa.select(usage_report)
    .join(usage_event, _ITS_EVENT)
    .where(usage_report.c.occurred_at_us > usage_event.c.settled_at_us + AHEAD_AT_MOST_US)
    .order_by(*_IN_ORDER)
)
_earlier = usage_report.alias("earlier")
_ITS_EARLIER = sa.and_(
    _earlier.c.grant_id == usage_report.c.grant_id,
    _earlier.c.number == usage_report.c.corrects,
)
_ELSEWHEN: sa.Select[Any] = (
    sa.select(usage_report)
    .join(usage_event, _ITS_EVENT)
    .outerjoin(_earlier, _ITS_EARLIER)
    .where(
        usage_report.c.counts_at_us
        != sa.func.coalesce(_earlier.c.counts_at_us, usage_event.c.settled_at_us)
    )
    .order_by(*_IN_ORDER)
)
_void = usage_event.alias("void")
_NOTHING_TAKEN_BACK: sa.Select[Any] = (
    sa.select(usage_report)
    .outerjoin(
        _earlier,
        sa.and_(
            _ITS_EARLIER,
            _earlier.c.occurred_at_us == usage_report.c.occurred_at_us,
        ),
    )
    .outerjoin(
        _void,
        sa.and_(
            _void.c.grant_id == usage_report.c.grant_id,
            _void.c.voids == usage_report.c.corrects,
            _void.c.number == usage_report.c.number - 1,
        ),
    )
    .where(
        usage_report.c.corrects.is_not(None),
        sa.or_(_earlier.c.grant_id.is_(None), _void.c.grant_id.is_(None)),
    )
    .order_by(*_IN_ORDER)
)
_REPORTED_GRANTS = sa.select(grant_terms.c.grant_id).where(
    grant_terms.c.compiled["delivery"].as_string() == REPORTED
)
_UNREPORTED: sa.Select[Any] = (
    sa.select(usage_event.c.grant_id, usage_event.c.event_id)
    .outerjoin(usage_report, _ITS_EVENT)
    .where(
        usage_event.c.grant_id.in_(_REPORTED_GRANTS),
        usage_event.c.kind == "posted",
        usage_report.c.grant_id.is_(None),
    )
    .order_by(usage_event.c.grant_id, usage_event.c.number)
)
