"""Totals by day: made from ranges of numbers, each once, whoever makes them and whatever breaks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from app.db.installation import Installation
from app.metering.history import totals
from app.metering.history.recounting import recount
from app.metering.history.totals import DayTotal, kept_totals, total_due, total_grant
from app.metering.tally.calls import Call
from tests.metering.calling import NOON_US, call_on
from tests.metering.stopping import stopped_everywhere
from tests.metering.store import execute, fsck, give, settle, take_back

DAY_US = 86_400_000_000
MIDNIGHT_US = NOON_US + DAY_US // 2
MONDAY, TUESDAY = date(2026, 11, 2), date(2026, 11, 3)


@pytest.fixture
def used(installation: Installation) -> Installation:
    """Three calls on the last moment of Monday; on Tuesday two more, and one of Monday's back."""
    give(installation)
    monday = [call_on(at_us=MIDNIGHT_US - 1, units=2) for _ in range(3)]
    settle(installation, *monday)
    settle(installation, *calls(2, MIDNIGHT_US))
    take_back(installation, monday[0].event_id, MIDNIGHT_US)
    return installation


TOTALS = [
    DayTotal(MONDAY, "call", 6, 0, 3, 300, 1, 3),
    DayTotal(TUESDAY, "call", 0, 0, 1, 200, 4, 6),
]


def kept(installation: Installation, grant_id: str = "grt_one") -> list[DayTotal]:
    with installation.usage_transaction(writes=False) as connection:
        return list(kept_totals(connection, grant_id))


def calls(count: int, at_us: int = NOON_US) -> list[Call]:
    return [call_on(at_us=at_us) for _ in range(count)]


def test_use_is_totalled_by_the_day_of_asia_shanghai(used: Installation) -> None:
    total_due(used)
    assert kept(used) == TOTALS
    total_due(used)
    assert kept(used) == TOTALS
    settle(used, *calls(1, MIDNIGHT_US))
    total_due(used)
    assert kept(used)[1] == DayTotal(TUESDAY, "call", 1, 0, 2, 300, 4, 7)
    assert fsck(used) == []


def test_totals_are_the_same_wherever_their_making_broke_off(
    used: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MAX_EVENTS", 2)
    stopped_everywhere(used, lambda: total_due(used), lambda: None)
    assert kept(used) == TOTALS


def test_many_at_once_count_nothing_twice(
    used: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MAX_EVENTS", 1)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: total_grant(used, "grt_one"), range(24)))
    while total_grant(used, "grt_one"):
        done.append(1)
    assert kept(used) == TOTALS
    assert sum(done) == 6


def test_a_broken_total_is_found_by_fsck_and_mended_by_a_recount(used: Installation) -> None:
    total_due(used)
    assert list(recount(used)) == []
    for broken in (
        "UPDATE usage_total SET units = units + 1 WHERE day = '2026-11-02'",
        "DELETE FROM usage_total WHERE day = '2026-11-03'",
        "UPDATE usage_total SET day = '2026-11-04' WHERE day = '2026-11-03'",
    ):
        assert execute(used, broken) == 1
        assert fsck(used)[0].startswith("A3: the total of grt_one for 2026-11-0"), broken
        assert not any(one.mended for one in recount(used, "grt_one")), "only asked"
        assert all(one.mended for one in recount(used, "grt_one", apply=True))
        assert kept(used) == TOTALS
        assert list(recount(used)) == []


def test_a_broken_counter_is_told_of_and_left(used: Installation) -> None:
    execute(used, "UPDATE usage_window SET used_units = 9 WHERE kind = 'contract'")
    (found,) = recount(used, apply=True)
    assert (found.what, found.kept, found.counted) == (
        "counter",
        {"used_units": 9},
        {"used_units": 6},
    )
    assert not found.mended
