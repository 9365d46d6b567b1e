"""Are totals what their events come to, and is every archived event still where it should be?

Read-only; invariants A3 (totals), A4 (archives) and A5 (partitions); names the first row of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.db.installation import archive_dir_of
from app.metering.history.archive_files import file_sha256
from app.metering.history.partitions import partitions_without_keys
from app.metering.history.recounting import total_differences
from app.metering.history.totals import day_totals, kept_totals
from app.metering.tables import grant_state, usage_archive, usage_archived, usage_event


def total_problems(connection: sa.Connection, grant: sa.Row[Any]) -> Iterator[str]:
    """Totals of one grant that are not what its events come to; needs its whole `history`."""
    counted = day_totals(connection, grant.grant_id, 1, grant.totalled_to)
    for one in total_differences(grant.grant_id, kept_totals(connection, grant.grant_id), counted):
        yield f"A3: the total of {one.grant_id} for {one.name} is not what its events come to"
        return


def partition_problems(connection: sa.Connection) -> Iterator[str]:
    """Months in which a number or an event's id might come twice."""
    for name in partitions_without_keys(connection):
        yield f"A5: partition {name} lacks a unique key"


def archive_problems(connection: sa.Connection) -> Iterator[str]:
    """Files that are not what was written, and ranges that do not meet or were not taken out."""
    folder = archive_dir_of(connection)
    archives = connection.execute(sa.select(usage_archive).order_by(usage_archive.c.from_us)).all()
    for archive in archives:
        if file_sha256(folder / archive.file) != archive.sha256:
            yield f"A4: {archive.file} is gone, or is not the file that was archived"
            return
        ranges = usage_archived.c.last_number - usage_archived.c.first_number + 1
        held = connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(ranges), 0)).where(
                usage_archived.c.month == archive.month
            )
        ).scalar_one()
        if held != archive.events:
            yield f"A4: {archive.file} has {archive.events} events, its ranges {held}"
            return
    yield from _range_problems(connection)
    yield from _left_behind(connection)


def _range_problems(connection: sa.Connection) -> Iterator[str]:
    """From 1 without a gap up to `archived_to`, and beyond it only what is not yet removed."""
    removed = usage_archive.c.removed_at_us.is_not(None)
    last = sa.func.max(sa.case((removed, usage_archived.c.last_number), else_=0))
    size = sa.func.sum(usage_archived.c.last_number - usage_archived.c.first_number + 1)
    found = (
        sa.select(
            usage_archived.c.grant_id,
            last.label("removed_to"),
            sa.func.max(usage_archived.c.last_number).label("last"),
            size.label("size"),
            sa.func.min(usage_archived.c.first_number).label("first"),
        )
        .join(usage_archive, usage_archive.c.month == usage_archived.c.month)
        .group_by(usage_archived.c.grant_id)
        .subquery()
    )
    archived_to = grant_state.c.archived_to
    wrong = connection.execute(
        sa.select(grant_state.c.grant_id, archived_to)
        .outerjoin(found, found.c.grant_id == grant_state.c.grant_id)
        .where(
            sa.or_(
                sa.and_(found.c.grant_id.is_(None), archived_to > 0),
                found.c.first > 1,
                found.c.size != found.c.last,
                archived_to < found.c.removed_to,
                archived_to > found.c.last,
            )
        )
        .order_by(grant_state.c.grant_id)
        .limit(1)
    ).one_or_none()
    if wrong is not None:
        yield f"A4: {wrong.grant_id} is archived to {wrong.archived_to}, its ranges say otherwise"


def _left_behind(connection: sa.Connection) -> Iterator[str]:
    """Events that are in the store still, although their month was removed from it."""
    left = connection.execute(
        sa.select(usage_event.c.event_id)
        .join(
            usage_archived,
            sa.and_(
                usage_archived.c.grant_id == usage_event.c.grant_id,
                usage_event.c.number.between(
                    usage_archived.c.first_number, usage_archived.c.last_number
                ),
            ),
        )
        .join(usage_archive, usage_archive.c.month == usage_archived.c.month)
        .where(usage_archive.c.removed_at_us.is_not(None))
        .limit(1)
    ).scalar_one_or_none()
    if left is not None:
        yield f"A4: event {left} is in the store, although its month was archived"
