"""A call repeated under its Idempotency-Key gets its data again and is paid once."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.clock import SetClock
from app.metering.tables import usage_event
from tests.metering.gateway_client import Caller, events, give, play
from tests.metering.grant_documents import quota

ROWS = "/data/world-gdp/rows"


def event_count(installation: Installation) -> int:
    with installation.usage.connect() as connection:
        return int(
            connection.execute(sa.select(sa.func.count()).select_from(usage_event)).scalar_one()
        )


def test_a_repeat_gets_the_same_data_and_receipt_three_times(installation: Installation) -> None:
    give(installation, windows=[quota("contract", 1)])

    async def story(caller: Caller) -> None:
        first = await caller.get(ROWS, idempotency_key="one")
        assert "idempotency-replayed" not in first.headers
        # The quota is used up by now: a repeat needs no room.
        for _ in range(3):
            again = await caller.get(ROWS, idempotency_key="one")
            assert (again.status, again.body) == (200, first.body)
            assert again.headers["usage-receipt"] == first.headers["usage-receipt"]
            assert again.headers["idempotency-replayed"] == "true"
        spent = await caller.get(ROWS, idempotency_key="one")
        assert (spent.status, spent.slug) == (422, "idempotency-key-spent")
        assert (await caller.get(ROWS, idempotency_key="two")).status == 429

    play(installation, story)
    assert event_count(installation) == 1


def test_another_request_under_a_key_is_refused(installation: Installation) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS, idempotency_key="one")).status == 200
        other = await caller.get(f"{ROWS}?limit=1", idempotency_key="one")
        assert (other.status, other.slug) == (422, "idempotency-key-reused")

    play(installation, story)
    assert event_count(installation) == 1


def test_after_a_day_a_key_is_new(installation: Installation, clock: SetClock) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        first = await caller.get(ROWS, idempotency_key="one")
        clock.advance(timedelta(hours=23, minutes=59))
        again = await caller.get(ROWS, idempotency_key="one")
        assert again.headers["usage-receipt"] == first.headers["usage-receipt"]
        clock.advance(timedelta(minutes=1))
        later = await caller.get(ROWS, idempotency_key="one")
        assert later.headers["usage-receipt"] != first.headers["usage-receipt"]

    play(installation, story)
    assert event_count(installation) == 2


def test_a_key_that_is_none_is_malformed(installation: Installation) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        for key in ("", "x" * 256, "tab\there"):
            answer = await caller.get(ROWS, idempotency_key=key)
            assert (answer.status, answer.slug) == (400, "malformed")

    play(installation, story)
    assert event_count(installation) == 0


def test_a_key_opens_no_more_calls_at_once_than_the_plan_allows(installation: Installation) -> None:
    give(installation, rate={"per_second": 1, "burst": 2})

    async def story(caller: Caller) -> None:
        calls = (caller.get(ROWS, idempotency_key="one") for _ in range(4))
        statuses = [answer.status for answer in await asyncio.gather(*calls)]
        assert sorted(statuses) == [200, 200, 429, 429]

    play(installation, story)
    assert event_count(installation) == 1


def test_what_was_asked_under_a_key_cannot_be_found_out_by_trying(
    installation: Installation,
) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        for key in ("one", "two"):
            assert (await caller.get(ROWS, idempotency_key=key)).status == 200

    play(installation, story)
    told = [event.request_sha256 for event in events(installation)]
    asked = f"GET {ROWS}?".encode()
    # As the document says, for the buyer who knows its keys.
    assert told == [hashlib.sha256(asked + b"\n\n" + key).hexdigest() for key in (b"one", b"two")]
