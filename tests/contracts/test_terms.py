"""The document: its bytes, its days, and who may change what in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.contracts.errors import NotYourStep, TermsLapsed, TermsNotOffered
from app.contracts.states import Side
from app.contracts.terms import (
    MAX_DAYS,
    MAY_CHANGE,
    AgreedPlan,
    Party,
    Points,
    Subject,
    canonical_terms,
    changed_points,
    check_days,
    check_not_lapsed,
    differences,
    draft_terms,
    moments,
    points_of,
)
from app.kernel.canonical import NotCanonical
from app.listings.charges import Free, PerUnit, UnitPrice
from app.listings.errors import PlanRefused
from app.listings.plans import Plan, Quota, Rate, WindowKind

NOON = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai

PROVIDER = Party("org_provider", "智谷数据有限公司", "91500108MA5U0000XX")
BUYER = Party("org_buyer", "买方有限公司", "91500108MA5U0001XX")
SUBJECT = Subject(
    listing_id="lst_1",
    slug="world-gdp",
    title="世界各国GDP",
    delivery="hosted",
    version_id="ver_1",
    version_number=3,
    content_hash="ab" * 32,
    policy={"@type": "Offer", "permission": []},
    enforced=("count",),
    legal_only=("attribute",),
)
PLAN = Plan(
    name="按次",
    currency="CNY",
    charges=(PerUnit(unit_price=UnitPrice(amount="0.0125", currency="CNY")),),
    quotas=(Quota(window=WindowKind.CONTRACT, limit_units=100),),
    rate=Rate(per_second=50, burst=100),
)
FREE = Plan(name="免费", currency="CNY", charges=(Free(),), quotas=())
POINTS = Points(
    plan=AgreedPlan("pln_1", 1, PLAN),
    purpose="RESEARCH",
    channel="hosted",
    starts_on=date(2026, 11, 2),
    ends_on=date(2027, 11, 1),
)


def draft(points: Points = POINTS, number: int = 1, **change: Any) -> dict[str, Any]:
    subject = replace(SUBJECT, **change)
    return draft_terms(
        "neg_1", number, provider=PROVIDER, buyer=BUYER, subject=subject, points=points
    )


def test_the_terms_hold_all_that_decides_about_access_and_money() -> None:
    document = draft()
    assert document["provider"] == {
        "id": "org_provider",
        "name": "智谷数据有限公司",
        "credit_code": "91500108MA5U0000XX",
    }
    assert document["buyer"]["credit_code"] == "91500108MA5U0001XX"
    assert document["listing"]["content_hash"] == "ab" * 32
    plan = document["plan"]
    assert (plan["id"], plan["number"]) == ("pln_1", 1)
    assert plan["document"]["charges"] == [
        {"model": "per_unit", "unit_price": {"amount": "0.0125", "currency": "CNY"}}
    ]
    assert plan["document"]["quotas"] == [
        {
            "window": "contract",
            "limit_units": 100,
            "overage": "block",
            "spend_cap": None,
            "carry_over": None,
        }
    ]
    assert document["vat"] == {"rate": "0.06", "prices": "exclusive"}
    assert document["alliance_fee"] == {"rate": "0.075", "of": "net"}
    assert (document["starts_on"], document["ends_on"]) == ("2026-11-02", "2027-11-01")
    assert document["legal_only"] == ["attribute"]


def test_the_canonical_bytes_are_the_documents_own_and_hash_to_the_name() -> None:
    data, sha256 = canonical_terms(draft())
    assert json.loads(data) == draft()
    assert hashlib.sha256(data).hexdigest() == sha256
    assert b'"alliance_fee":{"of":"net","rate":"0.075"},"buyer":' in data
    assert canonical_terms(json.loads(data)) == (data, sha256)


def test_two_versions_with_the_same_points_have_different_hashes() -> None:
    assert canonical_terms(draft(number=1))[1] != canonical_terms(draft(number=3))[1]
    assert differences(draft(number=1), draft(number=3)) == []


@pytest.mark.parametrize(
    "change",
    [{"title": "e\u0301"}, {"version_number": 2**53}, {"policy": {"payAmount": 0.5}}],
)
def test_what_has_no_one_canonical_form_never_becomes_terms(change: dict[str, Any]) -> None:
    with pytest.raises(NotCanonical):
        canonical_terms(draft(**change))


def test_points_survive_the_document() -> None:
    assert points_of(draft()) == POINTS
    assert points_of(json.loads(canonical_terms(draft())[0])) == POINTS


CHANGES: dict[str, Any] = {
    "plan": AgreedPlan("pln_2", 2, FREE),
    "quotas": (Quota(window=WindowKind.DAY, limit_units=5),),
    "rate": None,
    "purpose": "INDUSTRY",
    "channel": "file",
    "starts_on": date(2026, 12, 1),
    "ends_on": date(2026, 12, 31),
    "service_level": "99.9 %",
    "liability": "none",
}


def test_every_point_has_a_change_in_this_test() -> None:
    assert set(CHANGES) == {field.name for field in fields(Points)} | {"quotas", "rate"}
    assert set(CHANGES) == MAY_CHANGE[Side.PROVIDER]


@pytest.mark.parametrize("name", CHANGES)
def test_either_side_changes_its_points_and_the_difference_names_them(name: str) -> None:
    change = {name: CHANGES[name]}
    changed = changed_points(POINTS, Side.PROVIDER, change)
    part = "plan" if name in ("quotas", "rate") else name
    assert differences(draft(), draft(changed, number=2)) == [part]
    if name in ("service_level", "liability"):
        with pytest.raises(NotYourStep):
            changed_points(POINTS, Side.BUYER, change)
    else:
        assert changed_points(POINTS, Side.BUYER, change) == changed
    with pytest.raises(NotYourStep):
        changed_points(POINTS, Side.ALLIANCE, change)


def test_new_quotas_keep_the_price_and_another_plan_brings_its_own() -> None:
    quotas = CHANGES["quotas"]
    changed = changed_points(POINTS, Side.BUYER, {"quotas": quotas, "rate": None})
    assert changed.plan.plan.charges == PLAN.charges
    assert (changed.plan.plan.quotas, changed.plan.plan.rate) == (quotas, None)
    other = changed_points(changed, Side.PROVIDER, {"plan": CHANGES["plan"]})
    assert other.plan.plan == FREE
    both = changed_points(POINTS, Side.PROVIDER, {"plan": CHANGES["plan"], "quotas": quotas})
    assert both.plan.plan.quotas == quotas


def test_quotas_that_no_plan_could_have_are_refused() -> None:
    twice = (Quota(window=WindowKind.DAY, limit_units=5),) * 2
    with pytest.raises(PlanRefused):
        changed_points(POINTS, Side.BUYER, {"quotas": twice})


def test_both_days_are_included_by_the_calendar_of_shanghai() -> None:
    start, end = moments(date(2026, 11, 2), date(2026, 11, 2))
    assert start == datetime(2026, 11, 1, 16, 0, tzinfo=UTC)
    assert end - start == timedelta(days=1)


TODAY = date(2026, 11, 2)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "rule"),
    [
        (TODAY, TODAY, None),
        (TODAY - DAY, TODAY, None),
        (TODAY, TODAY + (MAX_DAYS - 1) * DAY, None),
        (TODAY, TODAY - DAY, "days-reversed"),
        (TODAY, TODAY + MAX_DAYS * DAY, "days-too-many"),
        (date(9999, 12, 30), date(9999, 12, 31), "days-too-far"),
        (TODAY + (MAX_DAYS - 1) * DAY, TODAY + MAX_DAYS * DAY, None),
        (date(1, 1, 1), date(1, 1, 1), "days-over"),
        (TODAY - 2 * DAY, TODAY, "days-over"),
        (TODAY - DAY, TODAY - DAY, "days-over"),
    ],
)
def test_days_must_lie_ahead(starts_on: date, ends_on: date, rule: str | None) -> None:
    if rule is None:
        check_days(starts_on, ends_on, NOON)
        return
    with pytest.raises(TermsNotOffered) as refused:
        check_days(starts_on, ends_on, NOON)
    assert refused.value.facts["rule"] == rule


def test_terms_lapse_at_the_end_of_their_last_day_and_not_before() -> None:
    document = draft(replace(POINTS, ends_on=TODAY))
    _, end = moments(TODAY, TODAY)
    check_not_lapsed(document, end - timedelta(microseconds=1))
    with pytest.raises(TermsLapsed):
        check_not_lapsed(document, end)
