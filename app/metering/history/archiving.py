"""Archiving: months of events that are over and done with go from the store to files.

A month goes when it ended `usage_hot_days` ago and every event of it is sealed under a recorded
leaf, in a total and in a closed period. Write the file and read it back; note it with its hash;
record the hash in the audit log; only then move the grants' `archived_to`, from which moment on the
month is read from the file, and take the events from the store. Each step is found done or not done
by whoever comes next, so a crash anywhere is only a pause.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import structlog

from app.audit.recording import record
from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.kernel.refusals import Outage
from app.metering.history.archive_files import NAMES, file_sha256, read_events, write_events
from app.metering.history.history import Piece
from app.metering.history.partitions import LOCK_TIMEOUT, Month, month_of, partitions
from app.metering.tables import (
    grant_state,
    usage_archive,
    usage_archived,
    usage_event,
    usage_period,
    usage_segment,
)

DAY_US = 24 * 3600 * 1_000_000
GRANTS_AT_ONCE = 200
# A call that waits for the store's lock waits for one of these: some milliseconds.
EVENTS_AT_ONCE = 1_000
VIEW_TRIES = 300
VIEW_PAUSE_S = 0.2

log = structlog.get_logger("usage")


class ArchiveDamaged(Exception):
    """A file does not hold what it should: nothing is removed from the store."""


def archive_due(installation: Installation) -> None:
    """Archive every month that is due, the oldest first. One process at a time does so."""
    with _alone(installation) as alone:
        if not alone:
            return
        _go_on(installation)
        while (month := _next_month(installation)) is not None:
            pieces = _pieces(installation, month)
            held_up_by = _held_up_by(installation, pieces)
            if held_up_by is not None:
                log.warning("a month cannot be archived yet", month=str(month), grant=held_up_by)
                return
            _write(installation, month, pieces)
            _go_on(installation)


def _go_on(installation: Installation) -> None:
    """Finish what was begun: months whose file is noted, but not all that follows."""
    with installation.usage_transaction(writes=False) as connection:
        begun = connection.execute(
            sa.select(usage_archive)
            .where(usage_archive.c.removed_at_us.is_(None))
            .order_by(usage_archive.c.from_us)
        ).all()
    for archive in begun:
        if file_sha256(installation.settings.archive_dir / archive.file) != archive.sha256:
            raise ArchiveDamaged(f"{archive.file} is not the file that was written")
        _record(installation, archive)
        remove_events(installation, archive)


def _next_month(installation: Installation) -> Month | None:
    """The month of the oldest event in the store, if it is old enough."""
    with installation.usage_transaction(writes=False) as connection:
        oldest_us = connection.execute(
            sa.select(sa.func.min(usage_event.c.settled_at_us)).select_from(
                grant_state.join(
                    usage_event,
                    sa.and_(
                        usage_event.c.grant_id == grant_state.c.grant_id,
                        usage_event.c.number == grant_state.c.archived_to + 1,
                    ),
                )
            )
        ).scalar_one()
        if oldest_us is None:
            return None
        month = month_of(oldest_us)
        kept_us = installation.settings.usage_hot_days * DAY_US
        if month.bounds_us[1] > installation.clock.now_us() - kept_us:
            return None
        known = connection.execute(
            sa.select(usage_archive.c.month).where(usage_archive.c.month == str(month))
        ).first()
    if known is not None:
        log.warning("an archived month has got events since", month=str(month))
        return None
    return month


def _pieces(installation: Installation, month: Month) -> Sequence[Piece]:
    """Each grant's events of the month, by number: a month is one range of each."""
    first_us, after_us = month.bounds_us
    with installation.usage_transaction(writes=False) as connection:
        rows = connection.execute(
            sa.select(
                usage_event.c.grant_id,
                sa.func.min(usage_event.c.number),
                sa.func.max(usage_event.c.number),
            )
            .where(usage_event.c.settled_at_us >= first_us, usage_event.c.settled_at_us < after_us)
            .group_by(usage_event.c.grant_id)
            .order_by(usage_event.c.grant_id)
        )
        return [Piece(*row) for row in rows]


def _held_up_by(installation: Installation, pieces: Sequence[Piece]) -> str | None:
    """The first grant whose events of the month are still needed in the store."""
    unrecorded = sa.exists().where(
        usage_segment.c.grant_id == grant_state.c.grant_id,
        usage_segment.c.first_number <= sa.bindparam("last"),
        usage_segment.c.leaf_id.is_(None),
    )
    closed = (
        sa.select(sa.func.coalesce(sa.func.max(usage_period.c.last_number), 0))
        .where(usage_period.c.grant_id == grant_state.c.grant_id)
        .scalar_subquery()
    )
    state = grant_state.c
    with installation.usage_transaction(writes=False) as connection:
        for piece in pieces:
            done = connection.execute(
                sa.select(state.grant_id).where(
                    state.grant_id == piece.grant_id,
                    state.archived_to == piece.first - 1,
                    state.sealed_to >= piece.last,
                    state.totalled_to >= piece.last,
                    closed >= piece.last,
                    ~unrecorded,
                ),
                {"last": piece.last},
            ).first()
            if done is None:
                return piece.grant_id
    return None


def _write(installation: Installation, month: Month, pieces: Sequence[Piece]) -> None:
    """Write the month's file, read it back, and note it; nothing leaves the store yet."""
    path = installation.settings.archive_dir / f"usage-{month}.parquet"
    with installation.usage_transaction(writes=False) as connection:
        count = write_events(path, _stored(connection, pieces))
        stored = _stored(connection, pieces)
        for rows in read_events(path):
            for row in rows:
                if tuple(row) != tuple(next(stored, ())):
                    raise ArchiveDamaged(f"{path.name} does not hold what the store does")
        if next(stored, None) is not None:
            raise ArchiveDamaged(f"{path.name} does not hold all that the store does")
    _note(installation, month, pieces, (path.name, file_sha256(path), path.stat().st_size, count))


def _note(
    installation: Installation,
    month: Month,
    pieces: Sequence[Piece],
    file: tuple[str, str | None, int, int],
) -> None:
    name, sha256, size, count = file
    from_us, until_us = month.bounds_us
    with installation.usage_transaction() as connection:
        connection.execute(
            sa.insert(usage_archive).values(
                month=str(month),
                from_us=from_us,
                until_us=until_us,
                file=name,
                sha256=sha256,
                bytes=size,
                events=count,
                written_at_us=installation.clock.now_us(),
            )
        )
        connection.execute(
            sa.insert(usage_archived),
            [
                {
                    "grant_id": piece.grant_id,
                    "first_number": piece.first,
                    "last_number": piece.last,
                    "month": str(month),
                }
                for piece in pieces
            ],
        )


def _record(installation: Installation, archive: sa.Row[Any]) -> None:
    """Record the file's hash in the audit log, once."""
    if archive.leaf_id is not None:
        return
    with installation.transaction(job_actor("usage.archive")) as session:
        leaf_id = record(
            session,
            "usage:archived",
            archive.month,
            dedupe_key=f"archive:{archive.month}",
            file=archive.file,
            sha256=archive.sha256,
            events=archive.events,
        )
    with installation.usage_transaction() as connection:
        connection.execute(
            sa.update(usage_archive)
            .where(usage_archive.c.month == archive.month)
            .values(leaf_id=leaf_id)
        )


def remove_events(installation: Installation, archive: sa.Row[Any]) -> None:
    """Read the month from its file from now on, and take its events from the store."""
    with installation.usage_transaction(writes=False) as connection:
        pieces = [
            Piece(*row)
            for row in connection.execute(
                sa.select(
                    usage_archived.c.grant_id,
                    usage_archived.c.first_number,
                    usage_archived.c.last_number,
                )
                .where(usage_archived.c.month == archive.month)
                .order_by(usage_archived.c.grant_id)
            )
        ]
    for start in range(0, len(pieces), GRANTS_AT_ONCE):
        with installation.usage_transaction() as connection:
            for piece in pieces[start : start + GRANTS_AT_ONCE]:
                connection.execute(
                    sa.update(grant_state)
                    .where(
                        grant_state.c.grant_id == piece.grant_id,
                        grant_state.c.archived_to == piece.first - 1,
                    )
                    .values(archived_to=piece.last)
                )
    _wait_for_old_views(installation)
    if not _drop_partition(installation, archive):
        for piece in pieces:
            _delete(installation, piece)
    with installation.usage_transaction() as connection:
        connection.execute(
            sa.update(usage_archive)
            .where(usage_archive.c.month == archive.month)
            .values(removed_at_us=installation.clock.now_us())
        )


def _wait_for_old_views(installation: Installation) -> None:
    """Return when nobody looks at the store any more as it was before this; raises `Outage`.

    Whoever began before the month was read from its file looks for it in the store, and a dropped
    partition is gone from every view, unlike rows that are deleted.
    """
    with installation.usage_transaction(writes=False) as connection:
        if is_sqlite(connection):
            return
        began_before = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    for _ in range(VIEW_TRIES):
        with installation.usage_transaction(writes=False) as connection:
            if connection.exec_driver_sql(_VIEWS, (began_before,)).first() is None:
                return
        time.sleep(VIEW_PAUSE_S)
    raise Outage("Somebody looks at the store as it was: the month is removed next time.")


_VIEWS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start <= %s
  AND backend_xmin IS NOT NULL AND backend_type = 'client backend' LIMIT 1"""


def _drop_partition(installation: Installation, archive: sa.Row[Any]) -> bool:
    """Drop the month's partition, if it has one that holds nothing but what is in the file.

    Gives way to calls: an outage when the lock cannot be had at once; the next run tries again.
    """
    partition = month_of(archive.from_us).partition
    with installation.usage_transaction() as connection:
        if is_sqlite(connection) or partition not in partitions(connection):
            return False
        # Looked for without a lock, since it takes long: a worker whose clock is as far behind as
        # this month is not ready, and the lock of a closed grant moves its calls out of the month.
        stray = connection.exec_driver_sql(
            f"SELECT 1 FROM {partition} e JOIN grant_state s ON s.grant_id = e.grant_id"  # noqa: S608 - a name of ours
            " WHERE e.number > s.archived_to LIMIT 1"
        ).first()
        if stray is not None:
            return False
        connection.exec_driver_sql(LOCK_TIMEOUT)
        connection.exec_driver_sql(f"ALTER TABLE usage_event DETACH PARTITION {partition}")
        connection.exec_driver_sql(f"DROP TABLE {partition}")
    return True


def _delete(installation: Installation, piece: Piece) -> None:
    for first in range(piece.first, piece.last + 1, EVENTS_AT_ONCE):
        with installation.usage_transaction() as connection:
            connection.execute(
                sa.delete(usage_event).where(
                    usage_event.c.grant_id == piece.grant_id,
                    usage_event.c.number.between(
                        first, min(first + EVENTS_AT_ONCE - 1, piece.last)
                    ),
                )
            )


def _stored(connection: sa.Connection, pieces: Sequence[Piece]) -> Iterator[Sequence[Any]]:
    """The events as the store has them, grant by grant, by number."""
    columns = [usage_event.c[name] for name in NAMES]
    for piece in pieces:
        yield from connection.execute(
            sa.select(*columns)
            .where(
                usage_event.c.grant_id == piece.grant_id,
                usage_event.c.number.between(piece.first, piece.last),
            )
            .order_by(usage_event.c.number)
            .execution_options(yield_per=EVENTS_AT_ONCE)
        )


@contextmanager
def _alone(installation: Installation) -> Iterator[bool]:
    """Whether nobody else archives into this folder; held until the end, or the process's."""
    folder = installation.settings.archive_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
