"""Negotiating: request, offer, counter-offer, acceptance, walking away."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from app.accounts.models import Organisation
from app.audit.models import Leaf
from app.contracts.models import Contract, DataGrant, Negotiation, TermsVersion
from app.kernel.actor import OPERATOR
from app.kernel.canonical import Json, canonical
from app.listings.models import Listing, PlanRow
from app.listings.states import ListingState, Side
from tests.contracts.market import API, Market
from tests.listings.examples import per_unit_plan, price


def terms_of(market: Market, negotiation_id: str, number: int | None = None) -> dict[str, Any]:
    options = {} if number is None else {"params": {"number": number}}
    path = f"{API}/negotiations/{negotiation_id}/terms"
    answer = market.buyer.caller.get(path, **options)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:zhigu:problem:{slug}", answer.text
    return dict(answer.json())


def leaves(market: Market, subject_id: str) -> list[str]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        rows = session.exec(select(Leaf).where(Leaf.subject_id == subject_id).order_by(Leaf.id))
        return [row.kind for row in rows]


def test_a_request_becomes_the_first_version_of_the_terms(market: Market) -> None:
    negotiation_id = market.request()
    shown = market.provider.caller.get(f"{API}/negotiations/{negotiation_id}").json()
    assert shown["state"] == "REQUESTED"
    assert (shown["buyer_id"], shown["provider_id"]) == (market.buyer.id, market.provider.id)
    assert (shown["terms_number"], shown["proposed_by"]) == (1, "buyer")
    assert (shown["starts_on"], shown["ends_on"]) == ("2026-11-02", "2027-11-01")
    assert shown["signatures"] == []
    assert shown["contract_id"] is None
    terms = terms_of(market, negotiation_id)
    assert terms["buyer"]["name"] == "买方科技有限公司"
    assert terms["provider"]["credit_code"] == "91500108MA5U000001"
    assert terms["listing"]["version_id"] == market.goods.version_id
    assert terms["plan"]["document"]["charges"] == per_unit_plan()["charges"]
    assert terms["enforced_by_gateway"] == ["purpose"]
    assert terms["legal_only"] == ["permission:derive"]
    assert leaves(market, negotiation_id) == ["negotiation:requested"]


def test_offer_counter_and_acceptance_lead_to_the_providers_signature(market: Market) -> None:
    negotiation_id = market.request()
    dearer = market.add_plan(
        name="premium", charges=[{"model": "per_unit", "unit_price": price("0.02")}]
    )
    offered = market.step(
        market.provider,
        negotiation_id,
        "offer",
        {"plan_id": dearer, "ends_on": "2027-01-31", "service_level": "99.5 %"},
    ).json()
    assert (offered["state"], offered["terms_number"]) == ("OFFERED", 2)
    assert (offered["plan_id"], offered["ends_on"]) == (dearer, "2027-01-31")
    assert offered["proposed_by"] == "provider"
    quotas = [{"window": "month", "limit_units": 10}]
    countered = market.step(
        market.buyer, negotiation_id, "counter", {"quotas": quotas, "rate": None}
    ).json()
    assert (countered["state"], countered["terms_number"]) == ("REQUESTED", 3)
    assert countered["plan_id"] == dearer
    assert terms_of(market, negotiation_id)["plan"]["document"]["quotas"] == [
        {
            "window": "month",
            "limit_units": 10,
            "overage": "block",
            "spend_cap": None,
            "carry_over": None,
        }
    ]
    again = market.step(market.provider, negotiation_id, "offer").json()
    assert (again["state"], again["terms_number"]) == ("OFFERED", 4)
    accepted = market.step(market.buyer, negotiation_id, "accept").json()
    assert (accepted["state"], accepted["terms_number"]) == ("ACCEPTED", 4)
    assert market.sign(market.provider, negotiation_id, "agree")["state"] == "AGREED"
    final = market.sign(market.buyer, negotiation_id, "verify")
    assert final["state"] == "FINALIZED"
    assert terms_of(market, negotiation_id, 1)["plan"]["id"] == market.goods.plan_id
    assert terms_of(market, negotiation_id, 4)["service_level"] == "99.5 %"
    assert leaves(market, negotiation_id) == [
        "negotiation:requested",
        "negotiation:offered",
        "negotiation:countered",
        "negotiation:offered",
        "negotiation:accepted",
    ]


def test_the_terms_are_canonical_bytes_with_their_digest(market: Market) -> None:
    negotiation_id = market.request()
    answer = market.buyer.caller.get(f"{API}/negotiations/{negotiation_id}/terms")
    shown = market.buyer.caller.get(f"{API}/negotiations/{negotiation_id}").json()
    document: Json = answer.json()
    assert answer.content == canonical(document)
    digest = hashlib.sha256(answer.content)
    encoded = base64.b64encode(digest.digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{encoded}:"
    assert answer.headers["content-type"] == "application/json"
    assert shown["terms_sha256"] == digest.hexdigest()
    path = f"{API}/negotiations/{negotiation_id}/terms"
    missing = market.buyer.caller.get(path, params={"number": 2})
    problem(missing, 404, "not-found")


WRONG_STEPS = [
    ("buyer", "offer", 403, "not-your-step"),
    ("provider", "counter", 409, "step-not-allowed"),
    ("buyer", "counter", 409, "step-not-allowed"),
    ("buyer", "accept", 409, "step-not-allowed"),
    ("provider", "accept", 409, "step-not-allowed"),
]


def test_a_wrong_step_is_refused_and_changes_nothing(market: Market) -> None:
    negotiation_id = market.request()
    for who, verb, status, slug in WRONG_STEPS:
        problem(market.step(getattr(market, who), negotiation_id, verb), status, slug)
    shown = market.buyer.caller.get(f"{API}/negotiations/{negotiation_id}").json()
    assert (shown["state"], shown["terms_number"]) == ("REQUESTED", 1)
    assert leaves(market, negotiation_id) == ["negotiation:requested"]


def test_the_buyer_does_not_set_what_the_provider_is_liable_for(market: Market) -> None:
    negotiation_id = market.request()
    market.step(market.provider, negotiation_id, "offer")
    answer = market.step(market.buyer, negotiation_id, "counter", {"liability": "无限责任"})
    assert problem(answer, 403, "not-your-step")["points"] == ["liability"]


def test_either_side_walks_away_from_a_request_and_it_stays_over(market: Market) -> None:
    for who in ("buyer", "provider"):
        walk_away(market, who)


def walk_away(market: Market, who: str) -> None:
    negotiation_id = market.request()
    trader = getattr(market, who)
    ended = market.step(trader, negotiation_id, "terminate", {"reason": "预算已用完"}).json()
    assert (ended["state"], ended["terminated_by"]) == ("TERMINATED", who)
    assert ended["reason"] == "预算已用完"
    for verb in ("offer", "counter", "accept", "agree", "verify"):
        problem(market.step(market.provider, negotiation_id, verb, {}), 409, "step-not-allowed")
    again = market.step(trader, negotiation_id, "terminate", {"reason": "once more"})
    problem(again, 409, "step-not-allowed")


def test_who_has_signed_does_not_walk_away_and_the_other_still_may(market: Market) -> None:
    negotiation_id = market.request()
    market.sign(market.provider, negotiation_id, "agree")
    reason = {"reason": "found better"}
    answer = market.step(market.provider, negotiation_id, "terminate", reason)
    problem(answer, 403, "not-your-step")
    assert market.step(market.buyer, negotiation_id, "terminate", reason).status_code == 200
    with market.installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(Contract)).all() == []


REFUSED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"purpose": "INTERNAL"}, "not-licensed", {"clause": "purpose"}),
    ({"channel": "file"}, "terms-not-offered", {"rule": "channel", "offered": ["hosted"]}),
    ({"channel": "upstream"}, "terms-not-offered", {"rule": "channel"}),
    ({"plan_id": "pln_x"}, "terms-not-offered", {"rule": "plan"}),
    ({"ends_on": "2026-11-01"}, "terms-not-offered", {"rule": "days-reversed"}),
    (
        {"starts_on": "2026-10-01", "ends_on": "2026-10-31"},
        "terms-not-offered",
        {"rule": "days-over"},
    ),
    ({"ends_on": "2036-12-01"}, "terms-not-offered", {"rule": "days-too-many"}),
]


def test_what_is_not_on_offer_is_refused(market: Market) -> None:
    negotiation_id = market.request()
    for change, slug, facts in REFUSED:
        asked = market.buyer.caller.post(f"{API}/negotiations", json=market.wish(**change))
        offered = market.step(market.provider, negotiation_id, "offer", change)
        for answer in (asked, offered):
            assert facts.items() <= problem(answer, 422, slug).items()
    with market.installation.transaction(OPERATOR, writes=False) as session:
        assert len(session.exec(select(Negotiation)).all()) == 1
        assert len(session.exec(select(TermsVersion)).all()) == 1


LICENCES: list[tuple[dict[str, Any], str | None]] = [
    ({"recipients": ["org_01k9zzzzzzzzzzzzzzzzzzzzzz"]}, "recipient"),
    ({"ends_on": "2026-11-01"}, "dateTime"),
    ({"starts_on": "2027-11-02"}, "dateTime"),
    ({"starts_on": "2027-11-01"}, None),
    ({"ends_on": "2026-11-02"}, None),
    ({"days": 1}, None),
]


def test_the_licence_decides_about_buyer_and_days(market: Market) -> None:
    for licence, clause in LICENCES:
        goods = market.list_goods(**licence)
        answer = market.buyer.caller.post(f"{API}/negotiations", json=market.wish(goods))
        if clause is None:
            assert answer.status_code == 201, answer.text
        else:
            assert problem(answer, 422, "not-licensed")["clause"] == clause


def test_a_named_recipient_may_buy(market: Market) -> None:
    goods = market.list_goods(recipients=[market.buyer.id])
    assert market.request(goods)
    answer = market.stranger.caller.post(f"{API}/negotiations", json=market.wish(goods))
    problem(answer, 422, "not-licensed")


def test_a_hosted_listing_is_sold_as_a_file_only_where_it_says_so(market: Market) -> None:
    goods = market.list_goods(modes=("hosted", "file"))
    assert market.request(goods, channel="file")
    licensed = market.list_goods(modes=("hosted", "file"), channels=["hosted"])
    answer = market.buyer.caller.post(
        f"{API}/negotiations", json=market.wish(licensed, channel="file")
    )
    assert problem(answer, 422, "not-licensed")["clause"] == "deliveryChannel"


def test_nobody_buys_from_themselves(market: Market) -> None:
    answer = market.provider.caller.post(f"{API}/negotiations", json=market.wish())
    problem(answer, 422, "own-listing")


def test_only_what_is_listed_is_for_sale_and_a_draft_is_not_even_there(market: Market) -> None:
    negotiation_id = market.request()
    path = f"{API}/negotiations"
    unknown = market.wish(listing_id="lst_01k9zzzzzzzzzzzzzzzzzzzzzz")
    problem(market.buyer.caller.post(path, json=unknown), 404, "not-found")
    set_listing(market, state=ListingState.SUSPENDED, suspended_by=Side.PROVIDER)
    problem(market.buyer.caller.post(path, json=market.wish()), 409, "listing-not-open")
    problem(market.step(market.provider, negotiation_id, "offer"), 409, "listing-not-open")
    signature = market.signature(market.provider, negotiation_id)
    answer = market.step(market.provider, negotiation_id, "agree", {"signature": signature})
    problem(answer, 409, "listing-not-open")
    set_listing(market, state=ListingState.DRAFT, suspended_by=None, version_id=None)
    problem(market.buyer.caller.post(path, json=market.wish()), 404, "not-found")


def set_listing(market: Market, **values: Any) -> None:
    with market.installation.transaction(OPERATOR) as session:
        listing = session.get_one(Listing, market.goods.listing_id)
        for name, value in values.items():
            setattr(listing, name, value)


@pytest.mark.parametrize("who", ["buyer", "provider"])
def test_both_names_must_be_verified_at_each_step_that_binds(market: Market, who: str) -> None:
    negotiation_id = market.request()
    with market.installation.transaction(OPERATOR) as session:
        organisation = session.get_one(Organisation, getattr(market, who).id)
        organisation.verified_until = market.installation.clock.now() - timedelta(seconds=1)
    path = f"{API}/negotiations"
    answer = market.buyer.caller.post(path, json=market.wish())
    assert problem(answer, 422, "organisation-not-verified")
    signature = market.signature(market.provider, negotiation_id)
    answer = market.step(market.provider, negotiation_id, "agree", {"signature": signature})
    problem(answer, 422, "organisation-not-verified")


@pytest.mark.parametrize("who", ["buyer", "provider"])
def test_nobody_is_bound_to_a_suspended_party(market: Market, who: str) -> None:
    negotiation_id = market.request()
    market.sign(market.provider, negotiation_id, "agree")
    with market.installation.transaction(OPERATOR) as session:
        organisation = session.get_one(Organisation, getattr(market, who).id)
        organisation.suspended_at = market.installation.clock.now()
    asked = market.buyer.caller.post(f"{API}/negotiations", json=market.wish())
    signature = market.signature(market.buyer, negotiation_id)
    signed = market.step(market.buyer, negotiation_id, "verify", {"signature": signature})
    for answer in (asked, signed):
        suspended = problem(answer, 422, "party-suspended")["organisation_id"]
        assert suspended == getattr(market, who).id


def test_a_later_price_never_touches_terms_and_a_retired_plan_is_not_sold(market: Market) -> None:
    negotiation_id = market.request()
    before = terms_of(market, negotiation_id)
    with market.installation.transaction(OPERATOR) as session:
        plan = session.get_one(PlanRow, market.goods.plan_id)
        plan.retired_at = market.installation.clock.now()
    answer = market.buyer.caller.post(f"{API}/negotiations", json=market.wish())
    assert problem(answer, 422, "terms-not-offered")["rule"] == "plan"
    assert terms_of(market, negotiation_id) == before
    market.sign(market.provider, negotiation_id, "agree")
    assert market.sign(market.buyer, negotiation_id, "verify")["state"] == "FINALIZED"


def test_an_application_that_does_not_exist_is_not_found(market: Market) -> None:
    body = market.wish(application_id="app_01k9zzzzzzzzzzzzzzzzzzzzzz")
    problem(market.buyer.caller.post(f"{API}/negotiations", json=body), 404, "not-found")


def test_nothing_is_granted_while_it_is_talked_about(market: Market) -> None:
    negotiation_id = market.request()
    market.step(market.provider, negotiation_id, "offer")
    market.step(market.buyer, negotiation_id, "accept")
    market.sign(market.provider, negotiation_id, "agree")
    with market.installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(Contract)).all() == []
        assert session.exec(select(DataGrant)).all() == []
