"""Each report that does not stand beside its event is named: one change by SQL for every break."""

from __future__ import annotations

import pytest

from app.db.installation import Installation
from tests.conftest import Api
from tests.metering.grant_documents import PROVIDER
from tests.metering.reports import DELIVERED, correction, report, send, statuses
from tests.metering.store import execute, fsck, give


@pytest.fixture
def reported(installation: Installation, api: Api) -> Installation:
    """Event 1 stands; 2 was taken back by 3, and 4 took its place."""
    give(installation, **DELIVERED)
    answer = send(
        api.as_client(PROVIDER, "usage:write"),
        report("one", 1),
        report("two", 2),
        correction("three", 3, "two"),
    )
    assert statuses(answer) == ["posted"] * 3
    assert fsck(installation) == []
    return installation


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("DELETE FROM usage_report WHERE number = 1", "M2: event evt_"),
        (
            "UPDATE usage_report SET number = 3 WHERE number = 1",
            "M2: report one of /deliveries names event 3 of grt_one, which was not posted",
        ),
        (
            "UPDATE usage_report SET provider_id = 'org_x' WHERE number = 2",
            "M2: report two of /deliveries is not of the provider of grt_one",
        ),
        (
            "UPDATE usage_report SET occurred_at_us = occurred_at_us + 86400000000",
            "M2: report one of /deliveries is of use that came after it",
        ),
        (
            "UPDATE usage_report SET corrects = 1 WHERE number = 4",
            "M2: report three of /deliveries corrects event 1 of grt_one, which still counts",
        ),
        (
            "UPDATE usage_report SET occurred_at_us = 5 WHERE number = 2",
            "M2: report three of /deliveries corrects event 2",
        ),
    ],
)
def test_a_broken_report_is_named(reported: Installation, statement: str, wanted: str) -> None:
    assert execute(reported, statement) > 0
    found = fsck(reported)
    assert any(problem.startswith(wanted) for problem in found), found
