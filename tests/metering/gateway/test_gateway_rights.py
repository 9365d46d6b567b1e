"""Who may call for data, and how soon a change of that is felt."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.db.installation import Installation
from app.kernel.clock import SetClock, epoch_us
from tests.metering.gateway_client import Caller, check_problem, events, give, play
from tests.metering.grant_documents import BUYER, quota

ROWS = "/data/world-gdp/rows"
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("token", "status", "slug"),
    [
        (None, 401, "not-signed-in"),
        ("bad", 401, "not-signed-in"),
        ("noscope", 403, "not-allowed"),
        ("org_stranger", 404, "not-found"),
    ],
)
def test_who_has_no_right_gets_nothing(
    installation: Installation, token: str | None, status: int, slug: str
) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        answer = await caller.get(ROWS, token)
        check_problem(answer, status, slug)
        assert ("www-authenticate" in answer.headers) == (token != "org_stranger")

    play(installation, story)
    assert events(installation) == []


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"live": False, "reason": "suspended"}, "grant-suspended"),
        ({"live": False, "reason": "ended"}, "no-grant"),
        ({"starts_at_us": 2**51}, "no-grant"),
        ({"starts_at_us": 0, "ends_at_us": 1}, "no-grant"),
        ({"channels_allowed": ["file"]}, "channel-not-allowed"),
        ({"purposes_allowed": ["INDUSTRY"]}, "purpose-not-allowed"),
    ],
)
def test_terms_that_do_not_hold_refuse_the_call(
    installation: Installation, changes: dict[str, Any], slug: str
) -> None:
    give(installation, **{"ends_at_us": 2**52, **changes})

    async def story(caller: Caller) -> None:
        check_problem(await caller.get(ROWS), 403, slug)

    play(installation, story)


def test_a_stated_purpose_must_be_the_contracts(installation: Installation) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS, purpose="RESEARCH")).status == 200
        check_problem(await caller.get(ROWS, purpose="TRAINING"), 403, "purpose-not-allowed")

    play(installation, story)


def test_the_end_date_is_looked_at_in_every_call(
    installation: Installation, clock: SetClock
) -> None:
    give(installation, ends_at_us=epoch_us(clock.now() + DAY))

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS)).status == 200
        clock.advance(DAY)
        check_problem(await caller.get(ROWS), 403, "no-grant")

    play(installation, story)


def test_a_suspended_contract_is_cut_off_and_a_resumed_one_serves(
    installation: Installation,
) -> None:
    give(installation, windows=[quota("contract", 5)])

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS)).status == 200
        await asyncio.to_thread(give, installation, epoch=2, live=False, reason="suspended")
        # This worker has not heard of it yet: settling knows, and nothing is served.
        check_problem(await caller.get(ROWS), 403, "grant-suspended")
        check_problem(await caller.get(ROWS), 403, "grant-suspended")
        await asyncio.to_thread(give, installation, epoch=3, windows=[quota("contract", 5)])
        await caller.gateway.watcher.look()
        answer = await caller.get(ROWS)
        assert answer.status == 200
        assert answer.headers["ratelimit"].startswith('"quota-contract";r=3;')

    play(installation, story)


def test_an_amendment_between_admission_and_settlement_is_followed(
    installation: Installation,
) -> None:
    give(installation)

    async def story(caller: Caller) -> None:
        await caller.get(ROWS)
        await asyncio.to_thread(give, installation, epoch=2, columns=["name"])
        answer = await caller.get(f"{ROWS}?limit=1")
        assert answer.json["items"] == [{"name": "row 0"}]

    play(installation, story)
    assert [event.epoch for event in events(installation)] == [1, 2]


def test_a_new_contract_opens_data_within_a_poll(installation: Installation) -> None:
    async def story(caller: Caller) -> None:
        check_problem(await caller.get(ROWS), 404, "not-found")
        await asyncio.to_thread(give, installation)
        for _ in range(100):
            answer = await caller.get(ROWS)
            if answer.status == 200:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("never heard of")

    play(installation, story)


def test_of_several_contracts_the_caller_names_one(installation: Installation) -> None:
    give(installation, "grt_one")
    give(installation, "grt_two")

    async def story(caller: Caller) -> None:
        unclear = await caller.get(ROWS)
        check_problem(unclear, 409, "contract-unclear")
        assert unclear.json["contract_ids"] == ["ctr_of_grt_one", "ctr_of_grt_two"]
        assert (await caller.get(ROWS, contract="ctr_of_grt_two")).status == 200
        check_problem(await caller.get(ROWS, contract="ctr_other"), 404, "not-found")
        await asyncio.to_thread(give, installation, "grt_one", epoch=2, live=False, reason="ended")
        await caller.gateway.watcher.look()
        assert (await caller.get(ROWS)).status == 200

    play(installation, story)
    assert [event.grant_id for event in events(installation)] == ["grt_two", "grt_two"]


def test_a_listing_that_is_on_sale_tells_a_stranger_to_sign_a_contract(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "app.metering.gateway.gateway.is_on_sale", lambda _session, slug: slug == "on-sale"
    )

    async def story(caller: Caller) -> None:
        check_problem(await caller.get("/data/on-sale/rows"), 403, "no-grant")
        check_problem(await caller.get("/data/hidden/rows"), 404, "not-found")

    play(installation, story)


def test_a_token_is_verified_once_and_forgotten_when_it_lapses(
    installation: Installation, clock: SetClock
) -> None:
    from tests.metering.gateway_client import verify

    give(installation)
    seen: list[str] = []
    lapses_at_s = epoch_us(clock.now()) // 1_000_000 + 600

    def counted(token: str) -> Any:
        seen.append(token)
        return verify(token)[0], lapses_at_s

    async def story(caller: Caller) -> None:
        for _ in range(3):
            assert (await caller.get(ROWS)).status == 200
        assert seen == [BUYER]
        clock.advance(timedelta(seconds=600))
        await caller.get(ROWS)
        assert seen == [BUYER, BUYER]

    play(installation, story, verify_token=counted)


def test_a_client_that_is_ended_is_refused_although_its_token_was_seen(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(installation)
    ended: set[str] = set()
    monkeypatch.setattr(
        "app.metering.gateway.watching.ended_subjects", lambda _session: frozenset(ended)
    )

    async def story(caller: Caller) -> None:
        assert (await caller.get(ROWS)).status == 200
        ended.add("cli_one")
        await caller.gateway.watcher.look()
        check_problem(await caller.get(ROWS), 401, "not-signed-in")
        ended.clear()
        await caller.gateway.watcher.look()
        assert (await caller.get(ROWS)).status == 200

    play(installation, story)
