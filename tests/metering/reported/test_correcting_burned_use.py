"""A correction burns what the event burned that it takes the place of, whatever is over by now."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.clock import SetClock
from app.metering.tables import usage_window
from app.metering.units.unit_grants import apply_unit_grants, burned_units
from tests.conftest import Api, Caller
from tests.metering.grant_documents import PROVIDER, granted_units, local_us, quota
from tests.metering.reports import DELIVERED, correction, report, send, statuses
from tests.metering.store import execute, fsck, give

TRIAL = local_us("2026-11-01 00:00:00"), local_us("2026-11-03 00:00:00")
BACKDATED = local_us("2026-11-01 00:00:00"), local_us("2027-11-01 00:00:00")
TOP_UP = local_us("2026-11-06 00:00:00"), local_us("2027-11-01 00:00:00")


@pytest.fixture
def provider(installation: Installation, api: Api) -> Caller:
    """One who has reported 40 units of a trial of 50, which was over four days ago."""
    give(installation, windows=[quota("contract", 100)], **DELIVERED)
    with installation.usage_transaction() as connection:
        apply_unit_grants(connection, "grt_one", [granted_units("ugr_trial", 50, *TRIAL)])
    found = api.as_client(PROVIDER, "usage:write", "usage:read")
    assert statuses(send(found, report("one", 40))) == ["posted"]
    clock = installation.clock
    assert isinstance(clock, SetClock)
    clock.advance(timedelta(days=5))
    return found


def burned_and_used(installation: Installation) -> tuple[dict[str, int], int]:
    with installation.usage_transaction(writes=False) as connection:
        burned = burned_units(connection, ["ugr_trial", "ugr_top_up"])
        used = connection.execute(sa.select(usage_window.c.used_units)).scalars().all()
    return {name: units for name, units in burned.items() if units}, sum(used)


def top_up(installation: Installation, days: tuple[int, int] = TOP_UP) -> None:
    """Grant 100 units now, for those days, which burn before any other."""
    granted = granted_units(
        "ugr_top_up", 100, *days, priority=0, granted_at_us=installation.clock.now_us()
    )
    with installation.usage_transaction() as connection:
        apply_unit_grants(connection, "grt_one", [granted])


@pytest.mark.parametrize("days", [TOP_UP, BACKDATED])
def test_a_correction_burns_of_the_trial_that_is_over_and_of_nothing_granted_since(
    installation: Installation, provider: Caller, days: tuple[int, int]
) -> None:
    top_up(installation, days)
    assert statuses(send(provider, correction("two", 45, "one"))) == ["posted"]
    assert burned_and_used(installation) == ({"ugr_trial": 45}, 0)
    # Of the line's first moment still, not of its last; what the trial lacks counts as any use.
    assert statuses(send(provider, correction("three", 60, "two"))) == ["posted"]
    assert burned_and_used(installation) == ({"ugr_trial": 50}, 10)
    assert statuses(send(provider, correction("four", 5, "three"))) == ["posted"]
    assert burned_and_used(installation) == ({"ugr_trial": 5}, 0)
    # What is not a correction burns of what is there now.
    assert statuses(send(provider, report("new", 7))) == ["posted"]
    assert burned_and_used(installation) == ({"ugr_trial": 5, "ugr_top_up": 7}, 0)
    assert fsck(installation) == []


def test_use_that_was_corrected_to_nothing_comes_back_to_the_trial(
    installation: Installation, provider: Caller
) -> None:
    assert statuses(send(provider, correction("two", 0, "one"))) == ["posted"]
    # The trial is over for this one, and calls stop looking for it.
    assert statuses(send(provider, report("now", 3))) == ["posted"]
    assert burned_and_used(installation) == ({}, 3)
    assert statuses(send(provider, correction("three", 8, "two"))) == ["posted"]
    assert burned_and_used(installation) == ({"ugr_trial": 8}, 3)
    assert fsck(installation) == []


@pytest.mark.parametrize("days", [TOP_UP, BACKDATED])
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE unit_burn SET unit_grant_id = 'ugr_top_up' WHERE number = 3",
            "M1: event 3 of grt_one could not burn units of",
        ),
        (
            "UPDATE usage_report SET counts_at_us = 1 + counts_at_us WHERE number = 3",
            "M2: report two of /deliveries counts at another moment than event 3 of grt_one may",
        ),
        (
            "UPDATE usage_report SET corrects = NULL WHERE number = 3",
            "M2: report two of /deliveries counts at another moment than event 3 of grt_one may",
        ),
    ],
)
def test_a_correction_that_burned_what_was_not_there_is_named(
    installation: Installation,
    provider: Caller,
    statement: str,
    told: str,
    days: tuple[int, int],
) -> None:
    top_up(installation, days)
    send(provider, correction("two", 45, "one"))
    assert fsck(installation) == []
    assert execute(installation, statement) == 1
    assert [line for line in fsck(installation) if line.startswith(told)], fsck(installation)
