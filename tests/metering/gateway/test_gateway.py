"""Calls for hosted rows: what is counted, and what the headers say."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from app.db.installation import Installation
from app.kernel.clock import SetClock
from tests.metering.gateway_client import Caller, check_problem, events, give, play, table
from tests.metering.grant_documents import quota

ROWS = "/data/world-gdp/rows"
DAY = timedelta(days=1)


def test_a_call_is_answered_counted_and_receipted(installation: Installation) -> None:
    give(installation, windows=[quota("contract", 5), quota("day", 3)])

    async def story(caller: Caller) -> None:
        answer = await caller.get(f"{ROWS}?select=number&limit=2")
        assert answer.status == 200
        assert answer.json["items"] == [{"number": 0}, {"number": 1}]
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["ratelimit-policy"] == (
            '"quota-contract";q=5;qu="requests";w=31536000, "quota-day";q=3;qu="requests";w=86400'
        )
        assert answer.headers["ratelimit"] == (
            '"quota-contract";r=4;t=31417200, "quota-day";r=2;t=54000'
        )
        stored = events(installation)
        assert [event.event_id for event in stored] == [answer.headers["usage-receipt"]]
        event = stored[0]
        assert (event.number, event.units, event.status) == (1, 1, 200)
        assert (event.operation, event.bytes) == ("rows", len(answer.body))

    play(installation, story)


def test_an_answer_is_foreign_content(installation: Installation) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        headers = (await caller.get(ROWS)).headers
        assert headers["content-security-policy"] == "sandbox"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"].startswith("attachment")
        assert headers["cache-control"] == "no-store"

    play(installation, story)


def test_the_quota_stops_calls_and_the_next_day_brings_new_ones(
    installation: Installation, clock: SetClock
) -> None:
    give(installation, windows=[quota("day", 2)])

    async def story(caller: Caller) -> None:
        assert [(await caller.get(ROWS)).status for _ in range(3)] == [200, 200, 429]
        refused = await caller.get(ROWS)
        check_problem(refused, 429, "quota-exhausted")
        assert refused.headers["retry-after"] == "54000"
        assert refused.headers["ratelimit"] == '"quota-day";r=0;t=54000'
        assert refused.json["windows"] == [
            {
                "window": "day",
                "limit_units": 2,
                "used_units": 2,
                "ends_at": "2026-11-02T16:00:00.000000Z",
            }
        ]
        clock.advance(DAY)
        assert (await caller.get(ROWS)).status == 200

    play(installation, story)
    assert len(events(installation)) == 3


def test_an_exhausted_contract_gives_no_hope_of_later(installation: Installation) -> None:
    give(installation, windows=[quota("contract", 0)])

    async def story(caller: Caller) -> None:
        refused = await caller.get(ROWS)
        check_problem(refused, 429, "quota-exhausted")
        assert "retry-after" not in refused.headers

    play(installation, story)


def test_calls_at_once_get_exactly_the_quota(installation: Installation) -> None:
    give(installation, windows=[quota("contract", 100)])

    async def story(caller: Caller) -> None:
        answers = await asyncio.gather(*(caller.get(ROWS) for _ in range(300)))
        statuses = [answer.status for answer in answers]
        assert (statuses.count(200), statuses.count(429)) == (100, 200)

    play(installation, story)
    assert [event.number for event in events(installation)] == list(range(1, 101))


@pytest.mark.parametrize(("meter", "units"), [("call", 1), ("row", 5), ("byte", None), ("item", 1)])
def test_units_are_counted_by_the_signed_meter(
    installation: Installation, meter: str, units: int | None
) -> None:
    give(installation, meter=meter)

    async def story(caller: Caller) -> None:
        answer = await caller.get(f"{ROWS}?limit=5")
        stored = events(installation)[0]
        assert (stored.meter, stored.units) == (meter, units or len(answer.body))

    play(installation, story)


def test_rows_beyond_what_is_left_are_not_given(installation: Installation) -> None:
    give(installation, meter="row", windows=[quota("contract", 10)])

    async def story(caller: Caller) -> None:
        assert (await caller.get(f"{ROWS}?limit=6")).status == 200
        check_problem(await caller.get(f"{ROWS}?limit=5"), 429, "quota-exhausted")
        assert (await caller.get(f"{ROWS}?limit=4")).status == 200

    play(installation, story)
    assert [event.units for event in events(installation)] == [6, 4]


def test_a_status_that_does_not_bill_is_counted_as_nothing(installation: Installation) -> None:
    give(installation, billable_statuses=[206], windows=[quota("contract", 1)])

    async def story(caller: Caller) -> None:
        for _ in range(2):
            assert (await caller.get(ROWS)).status == 200

    play(installation, story)
    assert [event.units for event in events(installation)] == [0, 0]


@pytest.mark.parametrize(
    "path",
    [
        "/data/world-gdp/",
        "/data/world-gdp",
        "/data/world-gdp/rows/",
        "/data/world-gdp/other",
        "/data//rows",
        "/data/World/rows",
        "/data/%2e%2e/rows",
        "/other/world-gdp/rows",
    ],
)
def test_no_other_path_answers(installation: Installation, path: str) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        check_problem(await caller.get(path), 404, "not-found")

    play(installation, story)


def test_rows_are_read_with_get_only(installation: Installation) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        for method in ("POST", "HEAD", "DELETE"):
            answer = await caller.call(method, ROWS)
            check_problem(answer, 405, "method-not-allowed")
            assert answer.headers["allow"] == "GET"

    play(installation, story)
    assert events(installation) == []


def test_a_query_that_cannot_be_read_is_not_counted(installation: Installation) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        check_problem(await caller.get(f"{ROWS}?select=nothing"), 400, "query-refused")

    play(installation, story)
    assert events(installation) == []


def test_the_rate_of_the_plan_is_kept(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "app.metering.gateway.admission.time", SimpleNamespace(monotonic=lambda: 5.0)
    )
    give(installation, rate={"per_second": 1, "burst": 3})

    async def story(caller: Caller) -> None:
        answers = [await caller.get(ROWS) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        check_problem(answers[-1], 429, "rate-limited")
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].headers["ratelimit"] == '"rate";r=0;t=1'
        assert answers[0].headers["ratelimit-policy"] == '"rate";q=1;qu="requests";w=1'

    play(installation, story)


def test_data_that_cannot_be_read_are_an_outage_and_not_counted(
    installation: Installation,
) -> None:
    give(installation, file={**table(installation), "path": "gone.parquet"})

    async def story(caller: Caller) -> None:
        answer = await caller.get(ROWS)
        check_problem(answer, 503, "file-away")
        assert answer.headers["retry-after"] == "1"

    play(installation, story)
    assert events(installation) == []
