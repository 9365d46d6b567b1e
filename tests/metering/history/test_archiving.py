"""Old months go to files, and everything that could be asked of them still can."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.metering.history import archive_links, archiving
from app.metering.history.archive_files import file_sha256
from app.metering.history.archiving import ArchiveDamaged, archive_due
from app.metering.history.closing import close_ranges, units_between
from app.metering.history.events import events_between
from app.metering.history.partitions import make_months, partitions
from app.metering.history.recounting import recount
from app.metering.history.segments import seal_due
from app.metering.history.totals import total_due
from app.metering.links import contract_of, links_of
from app.metering.reported.answers import ReportOutcome
from app.metering.reported.cloudevents import EventName, ReportedUse
from app.metering.reported.desk import ReportDesk
from app.metering.tables import usage_archive, usage_event
from app.metering.usage.exporting import exported_rows
from app.metering.usage.queries import access_event, list_events
from app.metering.usage.sums import Grouping, UsageFilter, usage_sums
from tests.metering.calling import NOON_US, REQUEST, call_on
from tests.metering.grant_documents import local_us
from tests.metering.stopping import stopped_everywhere
from tests.metering.store import execute, fsck, give, settle, take_back

DECEMBER_US = local_us("2026-12-01 00:00:00")
JANUARY_US = local_us("2027-01-01 00:00:00")
NOVEMBER_30 = datetime(2026, 11, 30).date()
FOUR_HUNDRED_DAYS_LATER = datetime(2028, 1, 6, tzinfo=UTC)

REPORT = (
    "INSERT INTO usage_report (grant_id, number, provider_id, source, source_id, occurred_at_us)"
    f" VALUES ('grt_two', 1, 'org_provider', 'urn:plant', 'r-1', {NOON_US})"
)


@pytest.fixture
def used(installation: Installation, clock: SetClock) -> Installation:
    """Two grants used in November and December, and the first in January too; all is done with."""
    with installation.usage_transaction() as connection:
        make_months(connection, NOON_US)
    for grant_id in ("grt_one", "grt_two"):
        grant = give(installation, grant_id)
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
    rows = duckdb.sql(f"SELECT grant_id, number, units FROM '{path}'").fetchall()
    assert rows[:2] == [("grt_one", 1, 2), ("grt_one", 2, 2)]
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

    def check() -> None:
        assert everything_asked(used) == before
        assert fsck(used) == []

    assert stopped_everywhere(used, lambda: archive_due(used), check) > 10
    assert stored(used) == DECEMBER_AND_LATER


def test_a_report_of_an_archived_event_is_remembered_and_checked(used: Installation) -> None:
    archive_due(used)
    name = EventName("urn:plant", "r-1")
    event = ReportedUse(name, "ctr_of_grt_two", NOON_US, 2, "rows", None, REQUEST)
    with used.usage_transaction() as connection:
        desk = ReportDesk(connection, "grt_two", used.clock.now_us())
        desk.remember([event])
        (answer,) = desk.take([event])
        assert answer.outcome is ReportOutcome.DUPLICATE
    execute(used, "UPDATE usage_report SET number = 4")
    assert any(problem.startswith("M2: report r-1") for problem in fsck(used))


@pytest.mark.parametrize(
    "needed",
    [
        "UPDATE usage_segment SET leaf_id = NULL WHERE grant_id = 'grt_two'",
        "UPDATE grant_state SET totalled_to = 3 WHERE grant_id = 'grt_two'",
        "UPDATE grant_state SET sealed_to = 3 WHERE grant_id = 'grt_two'",
        "DELETE FROM usage_period WHERE grant_id = 'grt_two'",
    ],
)
def test_a_month_stays_while_anything_of_it_is_needed(used: Installation, needed: str) -> None:
    everything = stored(used)
    assert execute(used, needed)
    archive_due(used)
    assert stored(used) == everything
    assert not list(used.settings.archive_dir.glob("*.parquet"))


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


@pytest.mark.parametrize("statement", BREAKS)
def test_fsck_names_what_is_wrong_with_an_archive(used: Installation, statement: str) -> None:
    archive_due(used)
    assert execute(used, statement)
    assert any(problem.startswith(BREAKS[statement]) for problem in fsck(used))


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE usage_archive SET events = 9", "does not tell of usage-2026-11.parquet"),
        ("UPDATE usage_archive SET leaf_id = 'leaf_other'", "leaf leaf_other does not tell"),
        ("DELETE FROM usage_archive", "usage-2026-11.parquet is gone"),
    ],
)
def test_fsck_names_an_archive_that_is_not_what_the_log_tells(
    used: Installation, statement: str, wanted: str
) -> None:
    archive_due(used)

    def said() -> list[str]:
        with (
            used.usage_transaction(writes=False) as usage,
            used.transaction(OPERATOR, writes=False) as session,
        ):
            return list(archive_links.problems(usage, session, usage))

    assert said() == []
    execute(used, "DELETE FROM usage_archived")
    assert execute(used, statement)
    assert any(wanted in problem for problem in said())


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
