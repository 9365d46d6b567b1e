"""A correction counts in the windows of the event that it takes the place of, however full today's
are: what a month's use was found to be does not hang on what another month has left.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.clock import SetClock, epoch_us, from_rfc3339
from app.metering.granting import apply_grant
from app.metering.history.recounting import recount
from app.metering.tables import usage_window
from tests.conftest import Api, Caller
from tests.metering.grant_documents import PROVIDER, grant_document, local_text, quota
from tests.metering.reports import DELIVERED, correction, items, report, send, statuses
from tests.metering.store import execute, fsck, give

DECEMBER_2 = "2026-12-02T00:00:00Z"
WINDOWS = [quota("month", 50), quota("day", 50)]


@pytest.fixture
def provider(installation: Installation, api: Api, clock: SetClock) -> Caller:
    """One whose buyer used 40 of 50 units in November and, so far, all 50 of December."""
    give(installation, windows=WINDOWS, **DELIVERED)
    found = api.as_client(PROVIDER, "usage:write")
    assert statuses(send(found, report("one", 40))) == ["posted"]
    clock.set_to(from_rfc3339(DECEMBER_2))
    assert statuses(send(found, report("now", 50, time=DECEMBER_2))) == ["posted"]
    return found


def used(installation: Installation, kind: str = "month") -> dict[str, int]:
    with installation.usage_transaction(writes=False) as connection:
        rows = connection.execute(sa.select(usage_window).where(usage_window.c.kind == kind)).all()
    return {local_text(row.starts_at_us): row.used_units for row in rows}


def fix(event_id: str, units: int, earlier: str) -> dict[str, Any]:
    return correction(event_id, units, earlier, time=DECEMBER_2)


def test_a_month_that_is_over_is_corrected_while_today_is_full(
    installation: Installation, provider: Caller
) -> None:
    assert statuses(send(provider, fix("two", 30, "one"))) == ["posted"]
    assert used(installation) == {"2026-11-01": 30, "2026-12-01": 50}
    assert used(installation, "day") == {"2026-11-02": 30, "2026-12-02": 50}
    # Its own correction stands where it stood, and gives back there.
    assert statuses(send(provider, fix("three", 50, "two"))) == ["posted"]
    assert used(installation) == {"2026-11-01": 50, "2026-12-01": 50}
    assert statuses(send(provider, fix("four", 0, "three"))) == ["posted"]
    assert used(installation) == {"2026-11-01": 0, "2026-12-01": 50}
    # December was not touched by any of it: it is full for what is new, and for no more than that.
    assert statuses(send(provider, report("late", 1))) == ["refused:quota-exhausted"]
    assert fsck(installation) == []
    assert list(recount(installation)) == []


def test_a_correction_beyond_what_its_own_month_had_is_refused_and_says_which(
    installation: Installation, provider: Caller
) -> None:
    [refused] = items(send(provider, fix("two", 51, "one")))
    assert refused["problem"]["type"].endswith("quota-exhausted")
    assert refused["problem"]["windows"] == [
        {
            "window": "day",
            "limit_units": 50,
            "used_units": 0,
            "ends_at": "2026-11-02T16:00:00.000000Z",
        },
        {
            "window": "month",
            "limit_units": 50,
            "used_units": 0,
            "ends_at": "2026-11-30T16:00:00.000000Z",
        },
    ]
    assert used(installation) == {"2026-11-01": 40, "2026-12-01": 50}
    assert fsck(installation) == []


def test_a_correction_after_the_end_leaves_the_window_open_for_what_was_told_of_since(
    installation: Installation, api: Api, clock: SetClock
) -> None:
    document = grant_document(windows=WINDOWS, **DELIVERED)
    ends_at_us = document["ends_at_us"] = epoch_us(from_rfc3339("2026-11-30T16:00:00Z"))
    over = {**document, "epoch": 2, "live": False, "reason": "expired"}
    provider = api.as_client(PROVIDER, "usage:write")
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, document, document["starts_at_us"])
    assert statuses(send(provider, report("one", 40))) == ["posted"]
    clock.set_to(from_rfc3339(DECEMBER_2))
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, over, ends_at_us)
    # Told of in December, it counts there: the contract's own window is the same for both.
    late = report("late", 20, time="2026-11-30T15:59:59Z")
    assert statuses(send(provider, late)) == ["posted"]
    clock.advance(timedelta(days=1))
    assert statuses(send(provider, fix("two", 10, "one"))) == ["posted"]
    assert used(installation) == {"2026-11-01": 10, "2026-12-01": 20}
    assert used(installation, "contract") == {"2026-11-01": 30}
    assert fsck(installation) == []


def test_a_counter_that_lost_a_correction_is_named(
    installation: Installation, provider: Caller
) -> None:
    send(provider, fix("two", 30, "one"))
    lost = "UPDATE usage_window SET used_units = 0 WHERE kind = 'month' AND used_units = 30"
    assert execute(installation, lost) == 1
    assert [line for line in fsck(installation) if "says 0 units used, its events 30" in line]
    assert [one.counted for one in recount(installation)] == [{"used_units": 30}]
