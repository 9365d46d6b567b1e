"""Exporting: events as CSV or Parquet, for whoever may see them, however many there are.

Events never change, so an export holds those that were there when it began, by grant and number,
and reads them some hundred at a time, each time in a short transaction of its own: memory stays
flat, and no view of the store is held open for long.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.actor import Actor
from app.kernel.clock import from_rfc3339, local_day
from app.listings.conditions.columns import Column, columns_of
from app.metering.errors import ExportTooLarge
from app.metering.history.events import EventDocument, events_between
from app.metering.hosted.formats import csv_header, csv_rows
from app.metering.tables import grant_state, usage_event
from app.metering.usage.seeing import visible_to
from app.metering.usage.sums import UsageFilter

# Few enough that the interpreter is never held long: calls are served in the same process.
AT_ONCE = 500
CHUNK_BYTES = 1 << 20
PARQUET_MAX_EVENTS = 2_000_000

COLUMNS: Sequence[Column] = columns_of(
    [
        {"name": name, "type": kind}
        for name, kind in (
            ("event_id", "VARCHAR"),
            ("grant_id", "VARCHAR"),
            ("number", "BIGINT"),
            ("kind", "VARCHAR"),
            ("voids", "BIGINT"),
            ("settled_at", "TIMESTAMPTZ"),
            ("meter", "VARCHAR"),
            ("units", "BIGINT"),
            ("granted_units", "BIGINT"),
            # What a sum over the column needs: less than nothing where units were taken back.
            ("net_units", "BIGINT"),
            ("operation", "VARCHAR"),
            ("status", "BIGINT"),
            ("bytes", "BIGINT"),
            ("request_sha256", "VARCHAR"),
            ("contract_id", "VARCHAR"),
            ("listing_id", "VARCHAR"),
            ("buyer_id", "VARCHAR"),
            ("provider_id", "VARCHAR"),
            ("plan_id", "VARCHAR"),
            ("terms_sha256", "VARCHAR"),
            ("reported_source", "VARCHAR"),
            ("reported_id", "VARCHAR"),
            ("occurred_at", "TIMESTAMPTZ"),
        )
    ]
)

Rows = Sequence[Sequence[Any]]


class _Grant(NamedTuple):
    """A grant as it stood when an export began."""

    grant_id: str
    last_number: int
    archived_to: int


def exported_rows(installation: Installation, actor: Actor, wanted: UsageFilter) -> Iterator[Rows]:
    """The events that the actor may see, as rows of `COLUMNS`, some hundred at a time.

    Whose they are and how many is settled at once, the rest as it is read. Refuses with
    `DayOutOfRange`.
    """
    within_us = wanted.within_us
    with installation.usage_transaction(writes=False) as connection:
        grants = connection.execute(
            sa.select(grant_state.c.grant_id, grant_state.c.last_number, grant_state.c.archived_to)
            .where(visible_to(actor), grant_state.c.last_number > 0, *wanted.of_grants)
            .order_by(grant_state.c.grant_id)
        )
        found = [_Grant(*row) for row in grants]
    return _rows(installation, found, wanted, within_us)


def csv_pieces(batches: Iterator[Rows]) -> Iterator[bytes]:
    """The rows as CSV (RFC 4180), with the names of the columns first.

    Text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers.
    """
    yield csv_header(COLUMNS)
    for rows in batches:
        yield csv_rows(COLUMNS, rows)


def export_to(path: Path, installation: Installation, actor: Actor, wanted: UsageFilter) -> int:
    """Write what `exported_rows` gives to a file: Parquet or CSV, by its name; how many events."""
    count = 0

    def counted() -> Iterator[Rows]:
        nonlocal count
        for rows in exported_rows(installation, actor, wanted):
            count += len(rows)
            yield rows

    if path.suffix == ".parquet":
        write_parquet(counted(), path)
    else:
        with path.open("wb") as file:
            file.writelines(csv_pieces(counted()))
    return count


def write_parquet(batches: Iterator[Rows], path: Path) -> None:
    """Write the rows to `path`, each column as what it is. Refuses with `ExportTooLarge`."""
    import duckdb

    lines = path.with_name(f"{path.name}.ndjson")
    names = [column.name for column in COLUMNS]
    encoder = msgspec.json.Encoder()
    count = 0
    try:
        with lines.open("wb") as file:
            for rows in batches:
                count += len(rows)
                if count > PARQUET_MAX_EVENTS:
                    raise ExportTooLarge(
                        f"At most {PARQUET_MAX_EVENTS} events go into one file: ask for fewer days."
                    )
                made = [dict(zip(names, row, strict=True)) for row in rows]
                file.write(encoder.encode_lines(made))
        types = ", ".join(f"'{column.name}': '{column.type}'" for column in COLUMNS)
        with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "256MB"}) as engine:
            engine.execute(
                f"COPY (SELECT * FROM read_json({_quoted(lines)}, columns = {{{types}}}, "  # noqa: S608 - names of ours
                f"format = 'newline_delimited')) TO {_quoted(path)} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
    finally:
        lines.unlink(missing_ok=True)


def open_parquet(batches: Iterator[Rows], folder: Path) -> IO[bytes]:
    """The rows as a Parquet file that is open for reading, and gone once it is closed."""
    with tempfile.TemporaryDirectory(prefix="export-", dir=folder) as scratch:
        path = Path(scratch) / "usage.parquet"
        write_parquet(batches, path)
        return path.open("rb")


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """What is in an open file, piece by piece; closes it."""
    with file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _rows(
    installation: Installation,
    grants: Sequence[_Grant],
    wanted: UsageFilter,
    within_us: tuple[int, int],
) -> Iterator[Rows]:
    dated = wanted.first_on is not None or wanted.last_on is not None
    for grant in grants:
        first, last = 1, grant.last_number
        if dated:
            with installation.usage_transaction(writes=False) as connection:
                first, last = _numbers_within(connection, grant, within_us)
        for start in range(first, last + 1, AT_ONCE):
            end = min(last, start + AT_ONCE - 1)
            with installation.usage_transaction(writes=False) as connection:
                events = list(events_between(connection, grant.grant_id, start, end))
            rows = [_row(event) for event in events if _is_within(event, wanted)]
            if rows:
                yield rows


def _numbers_within(
    connection: sa.Connection, grant: _Grant, within_us: tuple[int, int]
) -> tuple[int, int]:
    """The first and last number of the grant's events that may have been settled within a stretch
    of time: exactly those in the store, and all that are archived unless none can be meant.
    """
    before, until = (_number_before(connection, grant.grant_id, at_us) for at_us in within_us)
    last = grant.archived_to if until is None else until
    return (before or 0) + 1, min(last, grant.last_number)


def _is_within(event: EventDocument, wanted: UsageFilter) -> bool:
    day = local_day(from_rfc3339(event["settled_at"]))
    return (wanted.first_on is None or day >= wanted.first_on) and (
        wanted.last_on is None or day <= wanted.last_on
    )


def _number_before(connection: sa.Connection, grant_id: str, at_us: int) -> int | None:
    """The number of the grant's last event in the store that was settled before `at_us`."""
    return connection.execute(
        sa.select(usage_event.c.number)
        .where(usage_event.c.grant_id == grant_id, usage_event.c.settled_at_us < at_us)
        .order_by(usage_event.c.number.desc())
        .limit(1)
    ).scalar_one_or_none()


def _row(event: EventDocument) -> tuple[Any, ...]:
    reported = event.get("reported") or {}
    units = event["units"]
    more = {
        "net_units": -units if event["kind"] == "void" else units,
        "reported_source": reported.get("source"),
        "reported_id": reported.get("id"),
        "occurred_at": reported.get("occurred_at"),
    }
    return tuple(
        more[column.name] if column.name in more else event[column.name] for column in COLUMNS
    )


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
