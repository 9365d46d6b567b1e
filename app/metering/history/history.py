"""History: events wherever they are kept. The one place that knows both the store and the archive.

Events up to a grant's `archived_to` are in files of whole months, those after it in `usage_event`.
Whoever asks about old ones asks inside `history`: there a temporary table stands before
`usage_event` under the same name, with the same keys, filled with just what is asked for; so that
one set of questions serves both. Where nothing asked for is archived, nothing is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.db.engine import is_sqlite
from app.db.installation import archive_dir_of
from app.kernel.ids import made_at_ms
from app.metering.history.archive_files import (
    NAMES,
    numbers_settled,
    place_in_file,
    read_events,
)
from app.metering.tables import grant_state, usage_archive, usage_archived

NAMED_AT_MOST = 200
MONTHS_ASKED = 3
_SHOWN = "zhigu_history"


class Piece(NamedTuple):
    """Events `first` to `last` of a grant."""

    grant_id: str
    first: int
    last: int


@contextmanager
def history(connection: sa.Connection, grant_id: str, first: int, last: int) -> Iterator[None]:
    """Inside, `usage_event` holds the grant's events `first` to `last`, archived or not.

    If none of them is archived, it is the whole table. Needs a transaction; one inside another asks
    for part of what is there already.
    """
    piece = Piece(grant_id, first, last)
    if connection.info.get(_SHOWN) or not _is_archived(connection, piece):
        yield
        return
    with shown(connection, [piece]):
        yield


@contextmanager
def shown(connection: sa.Connection, pieces: Sequence[Piece]) -> Iterator[None]:
    """Inside, `usage_event` holds exactly these events, archived or not."""
    store = _create(connection)
    for piece in pieces:
        for rows in archived_rows(connection, piece):
            connection.exec_driver_sql(_insert(connection), [tuple(row) for row in rows])
        _copy(connection, store, piece)
    connection.info[_SHOWN] = True
    try:
        yield
    finally:
        del connection.info[_SHOWN]
    # An exception undoes the transaction, and with it the table.
    temporary = "temp" if is_sqlite(connection) else "pg_temp"
    connection.exec_driver_sql(f"DROP TABLE {temporary}.usage_event")


def archived_rows(connection: sa.Connection, piece: Piece) -> Iterator[Sequence[Sequence[Any]]]:
    """Those of the events that are archived, by number, some thousand at a time."""
    folder = archive_dir_of(connection)
    mine = usage_archived.c.grant_id == piece.grant_id
    within = (
        usage_archived.c.last_number >= piece.first,
        usage_archived.c.first_number <= piece.last,
    )
    for file, found in _files(connection, mine, *within):
        wanted = max(found.first, piece.first), min(found.last, piece.last)
        yield from read_events(folder / file, piece.grant_id, *wanted)


def archived_after(
    connection: sa.Connection,
    conditions: Sequence[sa.ColumnElement[bool]],
    within_us: tuple[int, int],
    after: tuple[str, int],
    most: int,
) -> Sequence[Piece]:
    """The first `most` archived events behind a grant and number that were settled within a stretch
    of time; `conditions` on `grant_state` say whose. Perhaps some more.
    """
    grant_id, number = after
    behind = sa.or_(
        usage_archived.c.grant_id > grant_id,
        sa.and_(usage_archived.c.grant_id == grant_id, usage_archived.c.last_number > number),
    )
    timely = usage_archive.c.from_us < within_us[1], usage_archive.c.until_us > within_us[0]
    folder = archive_dir_of(connection)
    pieces: list[Piece] = []
    for file, found in _files(connection, *conditions, behind, *timely):
        first = max(found.first, number + 1) if found.grant_id == grant_id else found.first
        wanted = found.grant_id, first, found.last
        numbers = numbers_settled(folder / file, wanted, within_us, most)
        if numbers is not None:
            pieces.append(Piece(found.grant_id, *numbers))
            most -= numbers[1] - numbers[0] + 1
        if most <= 0:
            break
    return pieces


def _files(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool]
) -> Iterator[tuple[str, Piece]]:
    """Archived ranges and the files that they are in, by grant and number."""
    rows = connection.execute(
        sa.select(
            usage_archive.c.file,
            usage_archived.c.grant_id,
            usage_archived.c.first_number,
            usage_archived.c.last_number,
        )
        .join(usage_archive, usage_archive.c.month == usage_archived.c.month)
        .join(grant_state, grant_state.c.grant_id == usage_archived.c.grant_id)
        # A month is read from its file from the moment on in which its removal began.
        .where(usage_archived.c.last_number <= grant_state.c.archived_to, *conditions)
        .order_by(usage_archived.c.grant_id, usage_archived.c.first_number)
    ).all()
    for file, *place in rows:
        yield file, Piece(*place)


def archived_place(
    connection: sa.Connection, event_id: str, *conditions: sa.ColumnElement[bool]
) -> Piece | None:
    """Where an event is that is no longer in the store; None when no file holds it.

    `conditions` on `grant_state` say whose: nobody has the files of others read for a guess. The
    id says when the call came, and the few months nearest to that are looked into, not all of a
    long archive: it was settled then, or, as its contract ended, at most a month later.
    """
    made_ms = made_at_ms(event_id)
    if made_ms is None:
        return None
    folder = archive_dir_of(connection)
    grants: dict[str, list[str]] = defaultdict(list)
    for file in _months_around(connection, made_ms * 1000):
        for _, piece in _files(connection, usage_archive.c.file == file, *conditions):
            grants[file].append(piece.grant_id)
    for file, grant_ids in grants.items():
        among = grant_ids if len(grant_ids) <= NAMED_AT_MOST else ()
        place = place_in_file(folder / file, event_id, among)
        if place is not None:
            return Piece(place[0], place[1], place[1])
    return None


def _months_around(connection: sa.Connection, at_us: int) -> Sequence[str]:
    """The files of the `MONTHS_ASKED` archived months nearest to a moment, the nearest first."""
    from_us, until_us = usage_archive.c.from_us, usage_archive.c.until_us
    away_us = sa.case(
        (from_us > at_us, from_us - at_us), (until_us <= at_us, at_us - until_us + 1), else_=0
    )
    nearest = sa.select(usage_archive.c.file).order_by(away_us, from_us).limit(MONTHS_ASKED)
    return connection.execute(nearest).scalars().all()


def _is_archived(connection: sa.Connection, piece: Piece) -> bool:
    archived_to = connection.execute(
        sa.select(grant_state.c.archived_to).where(grant_state.c.grant_id == piece.grant_id)
    ).scalar_one_or_none()
    return archived_to is not None and archived_to >= piece.first


def _create(connection: sa.Connection) -> str:
    """Make the temporary table; the qualified name of the one that it hides."""
    if is_sqlite(connection):
        store = "main.usage_event"
        connection.exec_driver_sql(
            f"CREATE TEMP TABLE usage_event AS SELECT * FROM {store} WHERE 0"  # noqa: S608 - a name of ours
        )
    else:
        schema = connection.exec_driver_sql(
            "SELECT relnamespace::regnamespace::text FROM pg_class"
            " WHERE oid = 'usage_event'::regclass"
        ).scalar_one()
        store = f"{schema}.usage_event"
        connection.exec_driver_sql(f"CREATE TEMP TABLE usage_event (LIKE {store}) ON COMMIT DROP")
    prefix = "temp." if is_sqlite(connection) else ""
    for name, columns in (
        ("number", "grant_id, number"),
        ("event", "event_id"),
        ("voids", "voids"),
    ):
        connection.exec_driver_sql(
            f"CREATE INDEX {prefix}ix_shown_{name} ON usage_event ({columns})"
        )
    return store


def _copy(connection: sa.Connection, store: str, piece: Piece) -> None:
    """Take over those of the events that are in the store."""
    names = ", ".join(NAMES)
    connection.execute(
        sa.text(
            f"INSERT INTO usage_event ({names}) SELECT {names} FROM {store}"  # noqa: S608 - names of ours
            " WHERE grant_id = :grant_id AND number BETWEEN :first AND :last AND number >"
            " (SELECT archived_to FROM grant_state WHERE grant_id = :grant_id)"
        ),
        piece._asdict(),
    )


def _insert(connection: sa.Connection) -> str:
    mark = "?" if is_sqlite(connection) else "%s"
    marks = ", ".join([mark] * len(NAMES))
    return f"INSERT INTO usage_event ({', '.join(NAMES)}) VALUES ({marks})"  # noqa: S608 - names of ours
