"""Old months go to files, and everything that could be asked of them still can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.refusals import Outage
from app.metering.checking import begin_view, problems
from app.metering.history import archive_links, archiving, history
from app.metering.history.archive_files import file_sha256
from app.metering.history.archiving import ArchiveDamaged, archive_due
from app.metering.history.closing import close_ranges, units_between
from app.metering.history.events import events_between
from app.metering.history.partitions import make_months, partitions
from app.metering.history.recounting import recount
from app.metering.history.segments import record_segments, seal_due
from app.metering.history.totals import total_due
from app.metering.links import contract_of, links_of
from app.metering.reported.answers import ReportOutcome
from app.metering.reported.cloudevents import EventName, ReportedUse
from app.metering.reported.reporting import report_use
from app.metering.tables import grant_state, usage_archive, usage_archived, usage_event
from app.metering.units.unit_grants import apply_unit_grants
from app.metering.usage.exporting import exported_rows
from app.metering.usage.queries import access_event, list_events
from app.metering.usage.sums import Grouping, UsageFilter, usage_sums
from tests.metering.calling import NOON_US, REQUEST, call_on
from tests.metering.grant_documents import PROVIDER, granted_units, local_us
from tests.metering.stopping import stopped_everywhere
from tests.metering.store import execute, fsck, give, settle, take_back

DECEMBER_US = local_us("2026-12-01 00:00:00")
JANUARY_US = local_us("2027-01-01 00:00:00")
NOVEMBER_30 = datetime(2026, 11, 30).date()
FOUR_HUNDRED_DAYS_LATER = datetime(2028, 1, 6, tzinfo=UTC)

REPORT = (
    "INSERT INTO usage_report (grant_id, number, provider_id, source, source_id, occurred_at_us,"
    " counts_at_us)"
    f" VALUES ('grt_two', 1, 'org_provider', 'urn:plant', 'r-1', {NOON_US}, {NOON_US})"
)


@pytest.fixture
def used(installation: Installation, clock: SetClock) -> Installation:
    """Two grants used in November and December, and the first in January too; all is done with."""
    with installation.usage_transaction() as connection:
        make_months(connection, NOON_US)
    for grant_id in ("grt_one", "grt_two"):
        grant = give(installation, grant_id)
        with installation.usage_transaction() as connection:
            given = granted_units(f"ugr_{grant_id}", 3, grant.starts_at_us, grant.ends_at_us)
            apply_unit_grants(connection, grant_id, [given])
        november = [call_on(grant, units=2) for _ in range(3)]
        settle(installation, *november)
        take_back(installation, november[1].event_id, grant_id=grant_id)
        settle(installation, *(call_on(grant, at_us=DECEMBER_US) for _ in range(2)))
    settle(installation, call_on(at_us=JANUARY_US))
    execute(installation, REPORT)
    seal_due(installation)
    total_due(installation)
    for until_us in (DECEMBER_US, JANUARY_US):
        close_ranges(installation, ["grt_one", "grt_two"], until_us)
    clock.set_to(FOUR_HUNDRED_DAYS_LATER)
    return installation


def stored(installation: Installation) -> list[tuple[str, int]]:
    with installation.usage.connect() as connection:
        place = usage_event.c.grant_id, usage_event.c.number
        return [tuple(row) for row in connection.execute(sa.select(*place).order_by(*place))]


def all_kept(installation: Installation) -> object:
    """Everything that an answer could follow from: rows and files."""
    kept = (usage_event, grant_state, usage_archive, usage_archived)
    folder = installation.settings.archive_dir
    with installation.usage.connect() as connection:
        rows = [
            connection.execute(sa.select(table).order_by(*place[:2])).all()
            for table, place in ((table, list(table.columns)) for table in kept)
        ]
    return rows, sorted(path.name for path in folder.glob("*"))


DECEMBER_AND_LATER = [
    ("grt_one", 5), ("grt_one", 6), ("grt_one", 7), ("grt_two", 5), ("grt_two", 6)
]  # fmt: skip


def everything_asked(installation: Installation) -> dict[str, object]:
    """What each question about use is answered with."""
    with installation.usage_transaction(writes=False) as connection:
        pages, cursor = [], None
        while True:
            events, cursor = list_events(
                connection, OPERATOR, UsageFilter(), limit=3, cursor=cursor
            )
            pages.append(events)
            if cursor is None:
                break
        ids = [one["event_id"] for page in pages for one in page]
        by_id = [access_event(connection, OPERATOR, one) for one in (ids[1], ids[-1])]
        november = UsageFilter(last_on=NOVEMBER_30)
        asked = ids[1]
        return {
            "pages": pages,
            "by id": by_id,
            "november": list_events(connection, OPERATOR, november, limit=5, cursor=None)[0],
            "range": list(events_between(connection, "grt_one", 2, 6)),
            "sums": usage_sums(connection, OPERATOR, UsageFilter(), Grouping.DAY),
            "priced": units_between(connection, "grt_one", 1, 5),
            "contract": contract_of(connection, asked),
            "exports": [
                [row for rows in exported_rows(installation, OPERATOR, wanted) for row in rows]
                for wanted in (UsageFilter(), november, UsageFilter(first_on=NOVEMBER_30))
            ],
            "links": [link.id for link in links_of(connection, "ctr_of_grt_one", asked)],
        }


def test_a_month_that_is_over_and_done_with_goes_to_a_file(
    used: Installation, engine_name: str
) -> None:
    before = everything_asked(used)
    archive_due(used)
    assert stored(used) == DECEMBER_AND_LATER
    assert everything_asked(used) == before
    assert fsck(used) == []
    assert list(recount(used)) == []
    path = used.settings.archive_dir / "usage-2026-11.parquet"
    with used.usage.connect() as connection:
        (archive,) = connection.execute(sa.select(usage_archive)).all()
        assert "usage_event_2026_11" not in partitions(connection)
    assert (archive.month, archive.events) == ("2026-11", 8)
    assert archive.sha256 == file_sha256(path)
    rows = duckdb.sql(f"SELECT grant_id, number, units, granted_units FROM '{path}'").fetchall()
    # Three units were granted: of the first call both burned, of the second one, and it came back.
    assert rows[:4] == [
        ("grt_one", 1, 2, 2), ("grt_one", 2, 2, 1), ("grt_one", 3, 2, 0), ("grt_one", 4, 2, 1)
    ]  # fmt: skip
    archive_due(used)
    assert stored(used) == DECEMBER_AND_LATER


def test_the_next_month_follows_when_its_time_has_come(used: Installation, clock: SetClock) -> None:
    before = everything_asked(used)
    clock.advance(timedelta(days=31))
    archive_due(used)
    assert stored(used) == [("grt_one", 7)]
    assert everything_asked(used) == before
    assert fsck(used) == []


def test_an_archive_that_broke_off_anywhere_is_finished_and_nothing_is_ever_missing(
    used: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "EVENTS_AT_ONCE", 2)
    before = everything_asked(used)
    asked = []

    def check() -> None:
        if (state := all_kept(used)) not in asked:  # most statements only read
            asked.append(state)
            assert everything_asked(used) == before
            assert fsck(used) == []

    assert stopped_everywhere(used, lambda: archive_due(used), check) > 10
    assert len(asked) > 3
    assert stored(used) == DECEMBER_AND_LATER


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
def test_no_month_is_dropped_from_the_view_of_whoever_began_before(
    used: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "VIEW_TRIES", 1)
    with used.usage_transaction(writes=False) as early:
        begin_view(early)
        with pytest.raises(Outage):
            archive_due(used)
        assert len(list(events_between(early, "grt_one", 1, 7))) == 7
    archive_due(used)
    assert stored(used) == DECEMBER_AND_LATER
    assert fsck(used) == []


def test_an_event_is_looked_for_in_the_months_around_its_id(
    used: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(timedelta(days=31))
    archive_due(used)
    asked: list[str] = []
    monkeypatch.setattr(history, "MONTHS_ASKED", 1)
    monkeypatch.setattr(history, "place_in_file", lambda path, *_: asked.append(path.name))
    with used.usage_transaction(writes=False) as connection:
        for made_us in (NOON_US, DECEMBER_US, JANUARY_US, 1):
            monkeypatch.setattr(history, "made_at_ms", lambda _id, made=made_us: made // 1000)
            assert history.archived_place(connection, "evt_x") is None
        monkeypatch.undo()
        assert history.archived_place(connection, "evt_x") is None
    assert [name[6:13] for name in asked] == ["2026-11", "2026-12", "2026-12", "2026-11"]


def test_a_report_of_an_archived_event_is_remembered_and_checked(used: Installation) -> None:
    archive_due(used)
    name = EventName("urn:plant", "r-1")
    event = ReportedUse(name, "ctr_of_grt_two", NOON_US, 2, "rows", None, REQUEST)
    (answer,) = report_use(used, PROVIDER, [event])
    assert answer.outcome is ReportOutcome.DUPLICATE
    execute(used, "UPDATE usage_report SET number = 4")
    assert any(problem.startswith("M2: report r-1") for problem in fsck(used))


def test_a_month_stays_while_anything_of_it_is_needed(used: Installation) -> None:
    everything = stored(used)
    for needed, done in (
        ("UPDATE usage_segment SET leaf_id = NULL", lambda: record_segments(used)),
        (
            "UPDATE grant_state SET totalled_to = 3",
            lambda: execute(used, "UPDATE grant_state SET totalled_to = last_number"),
        ),
        (
            "UPDATE grant_state SET sealed_to = 3",
            lambda: execute(used, "UPDATE grant_state SET sealed_to = last_number"),
        ),
        ("DELETE FROM usage_period", lambda: close_ranges(used, ["grt_two"], JANUARY_US)),
    ):
        assert execute(used, f"{needed} WHERE grant_id = 'grt_two'")
        archive_due(used)
        assert stored(used) == everything, needed
        assert not list(used.settings.archive_dir.glob("*.parquet")), needed
        done()
    archive_due(used)
    assert stored(used) != everything


def test_a_month_stays_until_its_time_has_come(used: Installation, clock: SetClock) -> None:
    everything = stored(used)
    clock.set_to(FOUR_HUNDRED_DAYS_LATER - timedelta(days=2))
    archive_due(used)
    assert stored(used) == everything


def test_nothing_is_removed_when_the_file_is_not_what_was_written(
    used: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = stored(used)
    monkeypatch.setattr(archiving, "_go_on", lambda _installation: None)
    archive_due(used)
    monkeypatch.undo()
    path = used.settings.archive_dir / "usage-2026-11.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArchiveDamaged):
        archive_due(used)
    assert stored(used) == everything


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_the_same_events_make_the_same_file(used: Installation, tmp_path: Path) -> None:
    archive_due(used)
    path = used.settings.archive_dir / "usage-2026-11.parquet"
    rows = [row for some in archiving.read_events(path) for row in some]
    again = tmp_path / "again.parquet"
    archiving.write_events(again, iter(rows))
    assert file_sha256(again) == file_sha256(path)


BREAKS = {
    "UPDATE usage_archive SET sha256 = 'b'": "A4: usage-2026-11.parquet",
    "UPDATE usage_archive SET events = 9": "A4: usage-2026-11.parquet has 9 events",
    "UPDATE grant_state SET archived_to = 3 WHERE grant_id = 'grt_two'": "A4: grt_two",
    "UPDATE usage_archived SET first_number = 2 WHERE grant_id = 'grt_two'": "A4",
    "INSERT INTO usage_event SELECT grant_id, 1, 'evt_stray', epoch, kind, voids, settled_at_us,"
    " meter, units, granted_units, operation, status, bytes, request_sha256 FROM usage_event"
    " WHERE grant_id = 'grt_one' AND number = 5": "A4: event evt_stray is in the store",
}


def said_of(
    installation: Installation, statements: Sequence[str], ask: Callable[[sa.Connection], Any]
) -> list[str]:
    """What is said of the store as these statements leave it, which is then undone."""
    with installation.usage.connect() as connection, connection.begin() as transaction:
        for statement in statements:
            assert connection.execute(sa.text(statement)).rowcount, statement
        found = list(ask(connection))
        transaction.rollback()
    return found


def test_fsck_names_what_is_wrong_with_an_archive(used: Installation) -> None:
    archive_due(used)
    for statement, wanted in BREAKS.items():
        found = said_of(used, [statement], problems)
        assert any(problem.startswith(wanted) for problem in found), (statement, found)
    assert fsck(used) == []


def test_fsck_names_an_archive_that_is_not_what_the_log_tells(used: Installation) -> None:
    archive_due(used)

    def ask(usage: sa.Connection) -> list[str]:
        with used.transaction(OPERATOR, writes=False) as session:
            return list(archive_links.problems(usage, session, usage))

    assert said_of(used, [], ask) == []
    for statement, wanted in (
        ("UPDATE usage_archive SET events = 9", "does not tell of usage-2026-11.parquet"),
        ("UPDATE usage_archive SET leaf_id = 'leaf_other'", "leaf leaf_other does not tell"),
        ("DELETE FROM usage_archive", "usage-2026-11.parquet is gone"),
    ):
        found = said_of(used, ["DELETE FROM usage_archived", statement], ask)
        assert any(wanted in problem for problem in found), (statement, found)


def test_fsck_sees_an_archived_event_that_was_changed(used: Installation) -> None:
    archive_due(used)
    path = used.settings.archive_dir / "usage-2026-11.parquet"
    changed = f"SELECT * REPLACE (units + 1 AS units) FROM '{path}'"
    duckdb.sql(f"COPY ({changed}) TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").replace(path)
    execute(used, f"UPDATE usage_archive SET sha256 = '{file_sha256(path)}'")
    said = fsck(used)
    assert any("is not what was sealed" in problem for problem in said)
    assert any(problem.startswith("M1") for problem in said)
    assert any(problem.startswith("A3") for problem in said)
