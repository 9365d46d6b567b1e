"""Each broken row of unit grants is named: one change by SQL for every promise they keep."""

from __future__ import annotations

import pytest

from app.db.installation import Installation
from app.metering.units.unit_grants import apply_unit_grants, burned_units
from tests.metering.calling import NOON_US, call_on
from tests.metering.grant_documents import granted_units, local_us, quota
from tests.metering.store import execute, fsck, give, settle, take_back

YEAR = (local_us("2026-11-01 00:00:00"), local_us("2027-11-01 00:00:00"))
LATER_US = NOON_US + 1_000_000


@pytest.fixture
def burning(installation: Installation) -> Installation:
    """Events 1 and 2 burn of `ugr_one`, 2 of `ugr_two` too; 3 burned of it and was taken back."""
    grant = give(installation, windows=[quota("contract", 20)])
    with installation.usage_transaction() as connection:
        first = granted_units("ugr_one", 3, *YEAR, priority=1)
        apply_unit_grants(connection, "grt_one", [first, granted_units("ugr_two", 9, *YEAR)])
    for number, units in enumerate((2, 3, 4), start=1):
        settle(installation, call_on(grant, event_id=f"evt_{number}", units=units))
    take_back(installation, "evt_3", LATER_US)
    return installation


def test_units_that_only_burned_and_came_back_have_no_problems(burning: Installation) -> None:
    assert fsck(burning) == []
    with burning.usage_transaction(writes=False) as connection:
        burned = burned_units(connection, ["ugr_one", "ugr_two", "ugr_three"])
    assert burned == {"ugr_one": 3, "ugr_two": 2}


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (
            "UPDATE unit_grant SET burned_units = 1 WHERE unit_grant_id = 'ugr_one'",
            "M1: unit grant ugr_one says 1 units burned, its calls 3",
        ),
        (
            "UPDATE unit_burn SET units = 1 WHERE number = 1",
            "M1: unit grant ugr_one says 3 units burned, its calls 2",
        ),
        (
            "DELETE FROM unit_burn WHERE number = 2",
            "M1: event evt_2 burned other units than it says",
        ),
        (
            "UPDATE usage_event SET granted_units = 1 WHERE number = 1",
            "M1: event evt_1 burned other units than it says",
        ),
        (
            "UPDATE usage_event SET granted_units = 1 WHERE number = 1",
            "M1: window call/contract/",
        ),
        (
            "UPDATE usage_event SET granted_units = 1 WHERE number = 4",
            "M1: event evt_void_evt_3 takes back what was not posted",
        ),
        (
            "UPDATE unit_burn SET number = 3 WHERE number = 1",
            "M1: event evt_1 burned other units than it says",
        ),
        (
            "UPDATE unit_burn SET number = 9 WHERE number = 1",
            "M1: event 9 of grt_one could not burn units of ugr_one",
        ),
        (
            "DELETE FROM unit_grant WHERE unit_grant_id = 'ugr_two'",
            "M1: event 2 of grt_one could not burn units of ugr_two",
        ),
        (
            f"UPDATE unit_grant SET ends_at_us = {NOON_US} WHERE unit_grant_id = 'ugr_one'",
            "M1: event 1 of grt_one could not burn units of ugr_one",
        ),
        (
            f"UPDATE unit_grant SET starts_at_us = {LATER_US} WHERE unit_grant_id = 'ugr_two'",
            "M1: event 2 of grt_one could not burn units of ugr_two",
        ),
        (
            "UPDATE unit_grant SET meter = 'row' WHERE unit_grant_id = 'ugr_two'",
            "M1: event 2 of grt_one could not burn units of ugr_two",
        ),
        (
            "UPDATE grant_state SET has_granted_units = (1 = 0)",
            "M1: no call looks for unit grant ugr_two, which has units left",
        ),
    ],
)
def test_a_broken_row_is_named(burning: Installation, statement: str, wanted: str) -> None:
    assert execute(burning, statement) > 0
    found = fsck(burning)
    assert any(problem.startswith(wanted) for problem in found), found
