"""Units beside a contract's quotas: by the plan, the provider or the alliance, and carried over."""

from __future__ import annotations

from typing import Any

import pytest

from app.contracts import granting_units
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.listings.plans import CarryOver
from app.metering.checking_links import problems
from app.metering.units.carrying import carried_units
from tests.billing.season import Deal, Season
from tests.breaking import broken
from tests.conftest import Api
from tests.listings.examples import per_unit_plan
from tests.metering.store import execute, fsck


@pytest.fixture
def season(installation: Installation, clock: SetClock, api: Api) -> Season:
    return Season(installation, clock, api)


def sign(season: Season, **plan: Any) -> Deal:
    goods = season.market.list_goods(plan=per_unit_plan(**plan))
    contract = season.market.contract(goods)
    season.work()
    return Deal(contract["id"], contract["grants"][0]["id"])


def give(season: Season, deal: Deal, caller: Any = None, **wish: Any) -> Any:
    caller = caller or season.market.provider.caller
    body = {"kind": "top_up", "units": 5, **wish}
    return caller.post(f"/api/v1/contracts/{deal.contract_id}/unit-grants", json=body)


def listed(season: Season, deal: Deal, caller: Any = None) -> list[dict[str, Any]]:
    caller = caller or season.market.buyer.caller
    answer = caller.get(f"/api/v1/contracts/{deal.contract_id}/unit-grants")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def linked(season: Season) -> list[str]:
    with season.usage() as usage, season.installation.snapshot(OPERATOR) as session:
        return list(problems(usage, session, usage))


def admin(season: Season) -> Any:
    scopes = ("contracts:read", "contracts:write", "admin")
    return season.api.as_client(new_id("org"), *scopes, roles=["admin"])


def test_a_trial_is_there_before_the_first_call_and_both_sides_see_what_is_left(
    season: Season,
) -> None:
    deal = sign(season, quotas=[], trial={"units": 3, "days": 7})
    season.use(deal, "2026-11-03 09:00:00", 2)
    (seen,) = listed(season, deal)
    assert (seen["kind"], seen["burned_units"], seen["left_units"]) == ("trial", 2, 1)
    assert (seen["starts_at"], seen["ends_at"]) == ("2026-11-01T16:00:00Z", "2026-11-08T16:00:00Z")
    assert (seen["side"], seen["priority"]) == (None, 0)
    assert listed(season, deal, season.market.provider.caller) == [seen]
    strange = season.market.stranger.caller
    path = f"/api/v1/contracts/{deal.contract_id}/unit-grants"
    assert strange.get(path).status_code == 404
    season.work()
    assert linked(season) == [] == fsck(season.installation)


def test_the_provider_tops_up_and_calls_go_on(season: Season) -> None:
    deal = sign(season, quotas=[{"window": "day", "limit_units": 2}])
    given = give(season, deal, units=2, priority=7, reason="年末活动")
    assert given.status_code == 201, given.text
    assert (given.json()["left_units"], given.json()["side"]) == (2, "provider")
    season.work()
    season.use(deal, "2026-11-03 09:00:00", 4)
    assert [(one["burned_units"], one["reason"]) for one in listed(season, deal)] == [
        (2, "年末活动")
    ]
    season.work()
    assert linked(season) == [] == fsck(season.installation)


def test_who_may_grant_units_and_which(season: Season) -> None:
    deal = sign(season, quotas=[])
    assert give(season, deal, season.market.stranger.caller).status_code == 404
    assert give(season, deal, season.market.buyer.caller).status_code == 403
    assert give(season, deal, admin(season)).status_code == 403
    assert give(season, deal, admin(season), kind="goodwill").json()["side"] == "alliance"
    assert give(season, deal, kind="goodwill").status_code == 201
    for wish in ({"kind": "trial"}, {"units": 0}, {"units": 2**53}, {"priority": 256}):
        assert give(season, deal, **wish).status_code == 400, wish
    for days in ({"last_on": "2026-10-31"}, {"first_on": "2027-11-02"}):
        refused = give(season, deal, **days)
        assert (refused.status_code, refused.json()["rule"]) == (422, "units-life")
    season.end(deal)
    assert give(season, deal).status_code == 409


def test_a_contract_is_given_units_so_often_only(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that are left are looked at with each batch of calls."""
    monkeypatch.setattr(granting_units, "MAX_PER_CONTRACT", 2)
    deal = sign(season, quotas=[], trial={"units": 3, "days": 7})
    answers = [give(season, deal) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 422]
    assert answers[2].json()["rule"] == "units-count"
    assert len(listed(season, deal)) == 3, "the plan's own are not counted"


def test_units_come_beside_no_licence_that_counts_every_use(season: Season) -> None:
    counted = season.market.list_goods(plan=per_unit_plan(quotas=[]), count=10)
    contract = season.market.contract(counted)
    refused = give(season, Deal(contract["id"], ""))
    assert (refused.status_code, refused.json()["clause"]) == (422, "count")
    trial = per_unit_plan(quotas=[], trial={"units": 3})
    goods = season.market.list_goods(plan=trial, count=10)
    asked = season.market.buyer.caller.post("/api/v1/negotiations", json=season.market.wish(goods))
    assert (asked.status_code, asked.json()["clause"]) == (422, "count")


@pytest.mark.parametrize(
    ("limit", "used", "most", "least", "carried"),
    [
        (10, 4, 100, 0, 6),
        (10, 4, 5, 0, 5),
        (10, 10, 5, 0, 0),
        (10, 10, 5, 2, 2),
        (10, 9, 5, 2, 2),
        (10, 12, 5, 0, 0),
    ],
)
def test_what_is_left_is_carried_between_the_least_and_the_most(
    limit: int, used: int, most: int, least: int, carried: int
) -> None:
    assert carried_units(limit, used, CarryOver(max_units=most, min_units=least)) == carried


def test_what_a_day_leaves_is_granted_for_the_next_once(season: Season) -> None:
    carry = {"max_units": 2}
    quota = {"window": "day", "limit_units": 3, "overage": "charge", "carry_over": carry}
    deal = sign(season, quotas=[quota])
    season.work()
    season.use(deal, "2026-11-02 23:00:00", 2)
    season.set_clock("2026-11-02 23:59:59")
    season.work()
    assert listed(season, deal) == []
    season.set_clock("2026-11-03 00:00:00")
    for _ in range(3):
        season.work()
    (first,) = listed(season, deal)
    assert (first["kind"], first["amount_units"]) == ("carry_over", 1)
    assert (first["starts_at"], first["ends_at"]) == (
        "2026-11-02T16:00:00Z",
        "2026-11-03T16:00:00Z",
    )
    season.use(deal, "2026-11-03 09:00:00", 1)
    season.set_clock("2026-11-04 00:00:01")
    for _ in range(3):
        season.work()
    second, first = listed(season, deal)
    assert (first["left_units"], second["amount_units"]) == (0, 2)
    assert linked(season) == [] == fsck(season.installation)


def test_a_worker_that_was_away_for_days_carries_into_the_day_that_is_now_and_no_other(
    season: Season,
) -> None:
    carry = {"max_units": 2}
    quota = {"window": "day", "limit_units": 3, "overage": "charge", "carry_over": carry}
    deal = sign(season, quotas=[quota])
    season.work()
    season.use(deal, "2026-11-02 23:00:00", 2)
    season.set_clock("2026-11-05 12:00:00")
    for _ in range(6):
        season.work()
    (found,) = listed(season, deal)
    assert (found["kind"], found["amount_units"]) == ("carry_over", 2)
    assert (found["starts_at"], found["ends_at"]) == (
        "2026-11-04T16:00:00Z",
        "2026-11-05T16:00:00Z",
    )
    assert linked(season) == [] == fsck(season.installation)


BREAKS = {
    "UPDATE granted_units SET amount_units = 9": "can be burned otherwise than granted",
    "DELETE FROM granted_units": "can be burned, but was never granted",
}


def test_units_that_are_not_what_was_granted_are_named(season: Season) -> None:
    deal = sign(season, quotas=[], trial={"units": 3})
    for statement, wanted in BREAKS.items():
        with broken(season.installation, [statement]) as session, season.usage() as usage:
            assert any(wanted in one for one in problems(usage, session, usage)), wanted
    assert execute(season.installation, "DELETE FROM unit_grant")
    assert any("never came to where calls burn it" in one for one in linked(season))
    assert listed(season, deal)[0]["left_units"] == 3
