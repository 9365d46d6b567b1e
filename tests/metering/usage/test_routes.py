"""Use over HTTP: both sides see the same figures, and nobody else sees any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.audit.checkpointing import sequence
from app.audit.log_keys import ensure_log_key
from app.audit.verifying import verify_receipt
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock, from_epoch_us
from app.metering.history.segments import seal_due
from app.metering.history.totals import total_due, total_grant
from app.metering.tables import unit_grant
from tests.conftest import Api, Caller
from tests.metering.calling import call_on
from tests.metering.grant_documents import BUYER, PROVIDER, local_us, quota
from tests.metering.store import give, settle, take_back

CONTRACT = "ctr_of_grt_one"
OTHER = "ctr_of_grt_two"
TOP_UP = {
    "unit_grant_id": "ung_one",
    "kind": "top_up",
    "meter": "call",
    "priority": 0,
    "amount_units": 5,
    "burned_units": 1,
    "starts_at_us": local_us("2026-11-01 00:00:00"),
    "ends_at_us": local_us("2026-12-01 00:00:00"),
    "granted_at_us": 1,
}


@pytest.fixture
def used(installation: Installation) -> Installation:
    """Two contracts with another buyer each; three days of use, one call taken back."""
    one = give(installation, windows=[quota("month", 10), quota("contract", 100)])
    two = give(installation, "grt_two", buyer_id="org_second", listing_id="lst_two", meter="row")
    first, *_ = settle(
        installation,
        call_on(one, local_us("2026-11-01 23:59:59"), units=2),
        call_on(one, local_us("2026-11-02 00:00:00"), units=3),
        call_on(one, local_us("2026-12-01 00:00:00"), units=4),
        call_on(two, local_us("2026-11-02 08:00:00"), units=50),
    )
    take_back(installation, first.event_id, local_us("2026-12-01 08:00:00"))
    return installation


def reader(api: Api, organisation: str, *roles: str) -> Caller:
    return api.as_client(organisation, "usage:read", roles=roles)


def sums(answer: Any) -> list[tuple[str, str, int, int]]:
    assert answer.status_code == 200
    items = answer.json()["items"]
    return [(item["key"], item["meter"], item["units"], item["calls"]) for item in items]


def test_use_is_summed_by_day_month_listing_and_contract(api: Api, used: Installation) -> None:
    provider = reader(api, PROVIDER)
    assert sums(provider.get("/api/v1/usage")) == [
        ("2026-11-01", "call", 2, 1),
        ("2026-11-02", "call", 3, 1),
        ("2026-11-02", "row", 50, 1),
        ("2026-12-01", "call", 2, 0),
    ]
    assert sums(provider.get("/api/v1/usage?group_by=month")) == [
        ("2026-11", "call", 5, 2),
        ("2026-11", "row", 50, 1),
        ("2026-12", "call", 2, 0),
    ]
    assert sums(provider.get("/api/v1/usage?group_by=listing")) == [
        ("lst_one", "call", 7, 2),
        ("lst_two", "row", 50, 1),
    ]
    assert sums(provider.get(f"/api/v1/usage?group_by=contract&contract_id={OTHER}")) == [
        (OTHER, "row", 50, 1)
    ]
    one_day = "/api/v1/usage?first_on=2026-11-01&last_on=2026-11-01"
    assert sums(provider.get(one_day)) == [("2026-11-01", "call", 2, 1)]


@pytest.mark.parametrize("grouping", ["day", "month", "listing", "contract"])
def test_sums_are_the_same_before_within_and_after_totalling(
    api: Api, used: Installation, grouping: str
) -> None:
    provider = reader(api, PROVIDER)
    path = f"/api/v1/usage?group_by={grouping}&first_on=2026-11-02"
    before = sums(provider.get(path))
    total_grant(used, "grt_one")
    assert sums(provider.get(path)) == before
    late = call_on(give(used, epoch=2), local_us("2026-12-01 09:00:00"), units=100)
    settle(used, late)
    one_more = sum(units for *_, units, _ in before) + 100
    assert sum(units for *_, units, _ in sums(provider.get(path))) == one_more
    total_due(used)
    assert sum(units for *_, units, _ in sums(provider.get(path))) == one_more


def test_sums_come_in_pages_each_with_what_all_of_it_comes_to(api: Api, used: Installation) -> None:
    path = "/api/v1/usage?limit=3&zeros=true&first_on=2026-11-01&last_on=2026-11-02"
    provider = reader(api, PROVIDER)
    first = provider.get(path)
    assert sums(first) == [
        ("2026-11-01", "call", 2, 1),
        ("2026-11-01", "row", 0, 0),
        ("2026-11-02", "call", 3, 1),
    ]
    second = provider.get(f"{path}&cursor={first.json()['next_cursor']}")
    assert sums(second) == [("2026-11-02", "row", 50, 1)]
    assert second.json()["next_cursor"] is None
    totals = [{"meter": "call", "units": 5, "calls": 2}, {"meter": "row", "units": 50, "calls": 1}]
    assert first.json()["totals"] == second.json()["totals"] == totals


def test_buyer_and_provider_see_the_same_and_a_stranger_nothing(
    api: Api, used: Installation
) -> None:
    path = f"/api/v1/usage?contract_id={CONTRACT}"
    buyer, provider = reader(api, BUYER), reader(api, PROVIDER)
    assert sums(buyer.get(path)) == sums(provider.get(path)) != []
    assert sums(reader(api, "org_auditor", "auditor").get(path)) == sums(buyer.get(path))
    assert sums(reader(api, "org_second").get(path)) == []
    assert sums(buyer.get("/api/v1/usage?group_by=contract")) == [(CONTRACT, "call", 7, 2)]


def windows(api: Api, contract_id: str = CONTRACT, organisation: str = BUYER) -> Any:
    path = f"/api/v1/usage/windows?contract_id={contract_id}"
    answer = reader(api, organisation).get(path)
    assert answer.status_code == 200
    for other in (reader(api, PROVIDER), reader(api, "org_auditor", "auditor")):
        assert other.get(path).json() == answer.json(), "everybody sees the same"
    return answer.json()["items"]


def test_windows_show_what_is_left(api: Api, used: Installation) -> None:
    month, contract = windows(api)
    assert (month["used_units"], month["remaining_units"], month["percent"]) == (3, 7, 30)
    assert month["starts_at"] == "2026-10-31T16:00:00Z"
    assert (contract["name"], contract["used_units"], contract["percent"]) == (
        "quota-contract",
        7,
        7,
    )
    unlimited = windows(api, OTHER, "org_second")
    assert [
        (item["used_units"], item["limit_units"], item["remaining_units"], item["percent"])
        for item in unlimited
    ] == [(50, None, None, None)]
    assert unlimited[0]["forecast"] is None


def test_windows_foretell_the_day_when_they_run_out(
    api: Api, installation: Installation, clock: SetClock
) -> None:
    """By noon of the third day 5 units in 2.5 days are 2 a day: 5 more last 2.5 days."""
    grant = give(installation, windows=[quota("month", 10), quota("contract", 100)])
    settle(
        installation,
        call_on(grant, local_us("2026-11-01 12:00:00"), units=2),
        call_on(grant, local_us("2026-11-02 12:00:00"), units=3),
    )
    clock.set_to(from_epoch_us(local_us("2026-11-03 12:00:00")))
    lasts = {"outlook": "lasts", "exhausts_on": None, "units_per_day": 2}
    assert [window["forecast"] for window in windows(api)] == [
        {"outlook": "runs_out", "exhausts_on": "2026-11-06", "units_per_day": 2},
        {"outlook": "runs_out", "exhausts_on": "2026-12-21", "units_per_day": 2},
    ]
    give(installation, epoch=2, windows=[quota("month", 100, "charge"), quota("contract", 1000)])
    assert [window["forecast"] for window in windows(api)] == [lasts, lasts]
    give(installation, epoch=3, windows=[quota("month", 3, "charge")])
    (used_up,) = windows(api)
    assert used_up["percent"] == 166
    assert used_up["forecast"]["outlook"] == "exhausted"
    with installation.usage_transaction() as connection:
        connection.execute(sa.insert(unit_grant).values(**TOP_UP, grant_id="grt_one"))
    assert windows(api)[0]["forecast"]["exhausts_on"] == "2026-11-05", "4 units more, 2 a day"
    give(installation, epoch=4, live=False, windows=[quota("month", 100)])
    assert [window["forecast"] for window in windows(api)] == [None]


def test_a_window_that_came_with_an_amendment_shows_what_was_used_before(
    api: Api, used: Installation
) -> None:
    give(used, epoch=2, windows=[quota("year", 100)])
    (year,) = windows(api)
    # Settled on 1 November twice over, of which the first was taken back; and on 1 December.
    assert year["used_units"] == 7


def test_events_come_by_number_in_pages(api: Api, used: Installation) -> None:
    buyer = reader(api, BUYER)
    seen: list[Any] = []
    cursor = ""
    while True:
        page = buyer.get(f"/api/v1/usage/events?limit=3{cursor}").json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [(event["number"], event["kind"]) for event in seen] == [
        (1, "posted"),
        (2, "posted"),
        (3, "posted"),
        (4, "void"),
    ]
    assert seen[3]["voids"] == 1
    one = buyer.get(f"/api/v1/usage/events/{seen[0]['id']}")
    assert one.status_code == 200
    assert one.json() == seen[0]
    assert one.json()["settled_at"] == "2026-11-01T15:59:59Z"


def test_a_receipt_verifies_once_it_is_sealed(api: Api, used: Installation) -> None:
    with used.transaction(OPERATOR) as session:
        vkey = str(ensure_log_key(session))
    buyer = reader(api, BUYER)
    event = buyer.get("/api/v1/usage/events").json()["items"][1]
    path = f"/api/v1/usage/events/{event['id']}/receipt"
    early = buyer.get(path)
    assert (early.status_code, early.json()["type"]) == (409, "urn:zhigu:problem:not-yet-sealed")
    seal_due(used)
    sequence(used)
    receipt = buyer.get(path)
    assert receipt.status_code == 200
    verified = verify_receipt(receipt.content, vkey)
    assert verified.event is not None and verified.event["event_id"] == event["id"]


@pytest.mark.parametrize(
    "path_of",
    [
        lambda _event: f"/api/v1/usage/windows?contract_id={CONTRACT}",
        lambda event: f"/api/v1/usage/events/{event}",
        lambda event: f"/api/v1/usage/events/{event}/receipt",
    ],
)
def test_what_is_not_yours_is_not_there(
    api: Api, used: Installation, path_of: Callable[[str], str]
) -> None:
    event = reader(api, BUYER).get("/api/v1/usage/events").json()["items"][0]["id"]
    path = path_of(event)
    assert reader(api, "org_second").get(path).status_code == 404
    assert reader(api, "org_second").get(path_of("evt_nothing")).status_code == 404
    assert api.anonymous().get(path).status_code == 401
    assert api.as_client(BUYER, "data:read").get(path).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "usage?group_by=week",
        "usage?first_on=yesterday",
        "usage/events?cursor=bm90aGluZw",
        "usage?cursor=bm90aGluZw",
        "usage?zeros=true&group_by=contract",
        "usage/events?cursor=%00",
        "usage/events?limit=0",
        "usage/events?limit=1000",
        "usage/windows",
    ],
)
def test_a_question_that_cannot_be_read_is_malformed(
    api: Api, installation: Installation, query: str
) -> None:
    assert reader(api, BUYER).get(f"/api/v1/{query}").status_code == 400


def test_a_day_that_no_clock_shows_is_refused(api: Api, installation: Installation) -> None:
    for path in ("usage", "usage/events"):
        answer = reader(api, BUYER).get(f"/api/v1/{path}?last_on=9999-12-31")
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:zhigu:problem:day-out-of-range"
