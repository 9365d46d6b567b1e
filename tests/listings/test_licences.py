"""Licences: structured terms and ODRL say the same, and what a machine keeps of them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.canonical import canonical
from app.listings.codes import Delivery, Purpose
from app.listings.errors import LicenceMalformed, LicenceRefused
from app.listings.licences import (
    Action,
    Clause,
    Duty,
    LegalConstraint,
    Licence,
    Operator,
    enforceable,
    enforced_names,
    legal_only_names,
    licence_document,
    licence_from_terms,
)
from app.listings.odrl import licence_from_odrl, odrl_of

LISTING = "lst_01k0000000000000000000000a"
PROVIDER = "org_01k0000000000000000000000a"
BUYER = "org_01k0000000000000000000000b"

FULL = Licence(
    actions=(Action.USE, Action.DERIVE, Action.COMMERCIAL_USE),
    prohibited=(Action.SELL, Action.DISTRIBUTE),
    duties=(Duty.ATTRIBUTE, Duty.NEXT_POLICY),
    purposes=(Purpose.RESEARCH, Purpose.INDUSTRY),
    count=1000,
    starts_on=date(2026, 1, 1),
    ends_on=date(2026, 12, 31),
    days=365,
    channels=(Delivery.HOSTED,),
    recipients=(BUYER,),
    columns=("name", "gdp"),
    rows="year >= 2020 and name != 'secret'",
    clauses=(LegalConstraint(Clause.SPATIAL, Operator.IS_PART_OF, ("CN",)),),
)
OPEN = Licence(actions=(Action.USE,))


def read(document: dict[str, Any]) -> Licence:
    return licence_from_odrl(document, LISTING, PROVIDER)


def written(licence: Licence = FULL) -> dict[str, Any]:
    return json.loads(json.dumps(odrl_of(licence, LISTING, PROVIDER)))


def constrained(left: str, operator: str, right: Any) -> dict[str, Any]:
    constraint = {"leftOperand": left, "operator": operator, "rightOperand": right}
    return {"@type": "Set", "permission": [{"action": "use", "constraint": [constraint]}]}


def test_a_licence_is_written_as_an_offer_that_other_dataspaces_read() -> None:
    policy = written()
    assert policy["@type"] == "Offer"
    assert policy["@id"] == f"urn:zhigu:licence:{LISTING}"
    assert policy["assigner"] == PROVIDER
    assert policy["conflict"] == "prohibit"
    assert "target" not in policy
    assert [rule["action"] for rule in policy["permission"]] == [
        "use",
        "derive",
        "cc:CommercialUse",
    ]
    assert policy["permission"][0]["constraint"] == [
        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["RESEARCH", "INDUSTRY"]},
        {"leftOperand": "count", "operator": "lteq", "rightOperand": "1000"},
        {
            "leftOperand": "dateTime",
            "operator": "gteq",
            "rightOperand": "2026-01-01T00:00:00+08:00",
        },
        {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00+08:00"},
        {"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P365D"},
        {"leftOperand": "deliveryChannel", "operator": "isAnyOf", "rightOperand": ["hosted"]},
        {"leftOperand": "recipient", "operator": "isAnyOf", "rightOperand": [BUYER]},
        {"leftOperand": "zhigu:columns", "operator": "isAnyOf", "rightOperand": ["name", "gdp"]},
        {
            "leftOperand": "zhigu:rows",
            "operator": "eq",
            "rightOperand": "year >= 2020 and name != 'secret'",
        },
        {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": "CN"},
    ]
    assert policy["prohibition"] == [{"action": "sell"}, {"action": "distribute"}]
    assert policy["obligation"] == [{"action": "attribute"}, {"action": "nextPolicy"}]
    canonical(policy)  # can be signed: no floats


@pytest.mark.parametrize("licence", [FULL, OPEN])
def test_odrl_is_read_back_to_the_same_licence(licence: Licence) -> None:
    assert read(written(licence)) == licence


LICENCES = st.builds(
    Licence,
    actions=st.sets(st.sampled_from([a for a in Action if a not in (Action.SELL, Action.USE)])).map(
        lambda found: (Action.USE, *sorted(found))
    ),
    prohibited=st.sampled_from([(), (Action.SELL,)]),
    duties=st.lists(st.sampled_from(Duty), unique=True, max_size=4).map(tuple),
    purposes=st.none() | st.lists(st.sampled_from(Purpose), unique=True, min_size=1).map(tuple),
    count=st.none() | st.integers(0, 2**53 - 1),
    starts_on=st.none() | st.dates(date(2000, 1, 1), date(2026, 1, 1)),
    ends_on=st.none() | st.dates(date(2026, 1, 2), date(2100, 1, 1)),
    days=st.none() | st.integers(1, 36_500),
    channels=st.none() | st.lists(st.sampled_from(Delivery), unique=True, min_size=1).map(tuple),
    columns=st.none()
    | st.lists(st.from_regex(r"[a-z列]{1,9}", fullmatch=True), unique=True, min_size=1).map(tuple),
    rows=st.none() | st.from_regex(r"[a-z列][^\n\t]{0,2}", fullmatch=True),
    clauses=st.lists(
        st.builds(
            LegalConstraint,
            st.sampled_from(Clause),
            st.sampled_from(Operator),
            st.lists(st.sampled_from(["CN", "1", "M.10"]), min_size=1).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)


@given(LICENCES)
def test_any_licence_survives_odrl_and_its_own_document(licence: Licence) -> None:
    assert read(written(licence)) == licence
    assert licence_from_terms(json.loads(json.dumps(licence_document(licence)))) == licence


SPELLINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"permission": {"action": "use"}}, {}),
    ({"@type": "odrl:Offer", "permission": [{"action": ["odrl:use"]}]}, {}),
    ({"permission": [{"action": {"@id": "http://www.w3.org/ns/odrl/2/use"}}]}, {}),
    ({"@context": "http://www.w3.org/ns/odrl.jsonld", "permission": [{"action": "use"}]}, {}),
    ({"uid": "urn:x", "target": LISTING, "permission": [{"action": "use"}]}, {}),
    ({"permission": [{"action": "use", "target": LISTING, "assigner": PROVIDER}]}, {}),
    (
        {"permission": [{"action": "use", "duty": [{"action": "attribute"}]}]},
        {"duties": (Duty.ATTRIBUTE,)},
    ),
    (
        {
            "permission": [
                {"action": ["use", "http://creativecommons.org/ns#CommercialUse"]},
                {"action": "use"},
            ]
        },
        {"actions": (Action.USE, Action.COMMERCIAL_USE)},
    ),
    (constrained("count", "lteq", 100), {"count": 100}),
    (
        constrained("odrl:count", "odrl:lt", {"@value": "100", "@type": "xsd:integer"}),
        {"count": 99},
    ),
    (constrained("count", "lteq", {"@value": 0, "@type": "xsd:integer"}), {"count": 0}),
    (constrained("purpose", "eq", "RESEARCH"), {"purposes": (Purpose.RESEARCH,)}),
    (
        constrained("purpose", "isNoneOf", ["INTERNAL", "SECTOR", "INDUSTRY", "RESEARCH"]),
        {"purposes": (Purpose.PUBLIC_GOVERNANCE, Purpose.PUBLIC_INTEREST)},
    ),
    (constrained("elapsedTime", "eq", "P2W"), {"days": 14}),
    (constrained("urn:zhigu:odrl:columns", "eq", "gdp"), {"columns": ("gdp",)}),
    (constrained("urn:zhigu:odrl:rows", "eq", "gdp > 1"), {"rows": "gdp > 1"}),
    (
        constrained("dateTime", "lteq", {"@value": "2026-12-31", "@type": "xsd:date"}),
        {"ends_on": date(2026, 12, 31)},
    ),
    (constrained("dateTime", "lt", "2026-12-31"), {"ends_on": date(2026, 12, 30)}),
    (constrained("dateTime", "gteq", "2026-12-31"), {"starts_on": date(2026, 12, 31)}),
    (constrained("dateTime", "gt", "2026-12-31"), {"starts_on": date(2027, 1, 1)}),
    (constrained("dateTime", "lt", "2026-12-31T16:00:00Z"), {"ends_on": date(2026, 12, 31)}),
    (
        constrained("dateTime", "lteq", "2026-12-31T23:59:59+08:00"),
        {"ends_on": date(2026, 12, 31)},
    ),
    (
        constrained("dateTime", "gt", "2026-12-31T23:59:59+08:00"),
        {"starts_on": date(2027, 1, 1)},
    ),
    (constrained("dateTime", "gteq", "2026-12-31T16:00:00Z"), {"starts_on": date(2027, 1, 1)}),
]


@pytest.mark.parametrize(("document", "change"), SPELLINGS)
def test_the_usual_other_spellings_are_understood(
    document: dict[str, Any], change: dict[str, Any]
) -> None:
    assert read(document) == Licence(**{"actions": (Action.USE,), **change})


USE = {"permission": [{"action": "use"}]}
REFUSED: list[dict[str, Any]] = [
    {},
    {"permission": []},
    {"permission": ["use"]},
    {"permission": [{}]},
    {"permission": [{"action": "commercialize"}]},
    {"permission": [{"action": "share"}]},
    {"permission": [{"action": "play"}]},
    {"permission": [{"action": "derive"}]},  # neither use nor read
    {"permission": [{"action": {"rdf:value": "use", "refinement": []}}]},
    {"permission": [{"action": 5}]},
    {"permission": [{"action": "use", "remedy": []}]},
    {"permission": [{"action": "use", "assignee": BUYER}]},
    {"permission": [{"action": "use", "target": "lst_other"}]},
    {**USE, "target": "lst_other"},
    {**USE, "assigner": BUYER},
    {**USE, "inheritFrom": "urn:x"},
    {**USE, "conflict": "perm"},
    {**USE, "@type": "Agreement"},
    {**USE, "@type": ["Offer"]},
    {**USE, "@context": {"use": "http://www.w3.org/ns/odrl/2/sell"}},
    {**USE, "@context": "https://example.com/own.jsonld"},
    {**USE, "@context": {"odrl": "https://example.com/"}},
    {**USE, "prohibition": [{"action": "use"}]},
    {**USE, "prohibition": [{"action": "sell", "constraint": []}]},
    {**USE, "prohibition": "sell"},
    {**USE, "obligation": [{"action": "pay"}]},
    {**USE, "obligation": [{"action": "use"}]},
    {"permission": [{"action": "use", "duty": [{"action": "attribute", "constraint": []}]}]},
    constrained("count", "lteq", 1.5),
    constrained("count", "lteq", True),
    constrained("count", "lteq", None),
    constrained("count", "lteq", "-1"),
    constrained("count", "lteq", "1e3"),
    constrained("count", "lt", "0"),
    constrained("count", "lteq", str(2**53)),
    constrained("count", "lteq", ["1", "2"]),
    constrained("count", "gteq", "5"),
    constrained("count", "lteq", []),
    constrained("count", "lteq", {"@value": "5", "@language": "en"}),
    constrained("purpose", "isAnyOf", ["FUN"]),
    constrained("purpose", "isAllOf", ["RESEARCH"]),
    constrained("purpose", "isNoneOf", [purpose.value for purpose in Purpose]),
    constrained("deliveryChannel", "eq", "fax"),
    constrained("recipient", "eq", "somebody"),
    constrained("elapsedTime", "lteq", "P1M"),
    constrained("elapsedTime", "lteq", "P0D"),
    constrained("elapsedTime", "lteq", "P99999D"),
    constrained("dateTime", "lteq", "tomorrow"),
    constrained("dateTime", "lt", "2026-12-31T12:00:00+08:00"),
    constrained("dateTime", "lt", "2026-12-31T00:00:00"),
    constrained("dateTime", "lt", "0001-01-01"),
    constrained("dateTime", "eq", "2026-12-31"),
    constrained("absolutePosition", "lteq", "5"),
    constrained("zhigu:columns", "eq", "a\nb"),
    constrained("zhigu:rows", "eq", "a\nb"),
    constrained("zhigu:rows", "eq", "a" * 2001),
    constrained("zhigu:rows", "neq", "a = 1"),
    constrained("zhigu:rows", "eq", ["a = 1", "b = 1"]),
    constrained("spatial", "near", "CN"),
    constrained("spatial", "eq", "x" * 201),
]


@pytest.mark.parametrize("document", REFUSED, ids=lambda value: json.dumps(value)[:80])
def test_what_the_subset_cannot_say_is_refused_and_not_dropped(document: dict[str, Any]) -> None:
    with pytest.raises(LicenceRefused):
        read(document)


def test_two_constraints_on_one_thing_are_refused() -> None:
    document = constrained("count", "lteq", "5")
    twice = document["permission"][0]["constraint"] * 2
    document["permission"][0]["constraint"] = twice
    with pytest.raises(LicenceRefused, match="twice"):
        read(document)


def test_permissions_under_different_constraints_are_refused() -> None:
    document = constrained("count", "lteq", "5")
    other = copy.deepcopy(document["permission"][0])
    other["constraint"][0]["rightOperand"] = "6"
    document["permission"].append(other)
    with pytest.raises(LicenceRefused, match="same constraints"):
        read(document)


def test_logical_constraints_are_refused() -> None:
    constraint = {"or": [{"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}]}
    with pytest.raises(LicenceRefused):
        read({"permission": [{"action": "use", "constraint": [constraint]}]})


@pytest.mark.parametrize(
    "change",
    [
        {"actions": []},
        {"actions": ["derive"]},
        {"actions": ["use", "use"]},
        {"prohibited": ["use"]},
        {"count": -1},
        {"count": 2**53},
        {"days": 0},
        {"starts_on": "2026-02-01", "ends_on": "2026-01-31"},
        {"purposes": []},
        {"channels": []},
        {"recipients": ["usr_01k0000000000000000000000a"]},
        {"columns": []},
        {"columns": ["a", "a"]},
    ],
)
def test_structured_terms_that_cannot_be_kept_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(LicenceRefused):
        licence_from_terms({"actions": ["use"], **change})


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"actions": ["use", "dance"]}, ".actions"),
        ({"count": "5"}, ".count"),
        ({"starts_on": "soon"}, ".starts_on"),
        ({"purposes": ["FUN"]}, ".purposes"),
        ({"columns": ["a\n"]}, ".columns"),
        ({"rows": ""}, ".rows"),
        ({"rows": ["a = 1"]}, ".rows"),
        ({"clauses": [{"clause": "industry", "operator": "eq", "values": []}]}, ".clauses"),
        ({"colour": "red"}, ""),
    ],
)
def test_structured_terms_that_cannot_be_read_are_malformed(
    change: dict[str, Any], path: str
) -> None:
    with pytest.raises(LicenceMalformed) as refused:
        licence_from_terms({"actions": ["use"], **change})
    assert str(refused.value.facts["path"]).startswith(path)


def test_a_licence_without_constraints_allows_everything() -> None:
    terms = enforceable(OPEN)
    assert set(terms.purposes) == {purpose.value for purpose in Purpose}
    assert set(terms.channels) == {channel.value for channel in Delivery}
    assert (terms.count, terms.starts_at, terms.ends_at, terms.days) == (None, None, None, None)
    assert (terms.recipients, terms.columns, terms.rows) == (None, None, None)


def test_days_become_half_open_moments_in_shanghai() -> None:
    terms = enforceable(FULL)
    assert terms.starts_at == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert terms.ends_at == datetime(2026, 12, 31, 16, tzinfo=UTC)
    one_day = Licence(actions=(Action.USE,), starts_on=date(2026, 5, 1), ends_on=date(2026, 5, 1))
    kept = enforceable(one_day)
    assert kept.starts_at is not None
    assert kept.ends_at is not None
    assert kept.ends_at - kept.starts_at == timedelta(days=1)


def test_purpose_count_channel_recipient_columns_and_rows_are_kept_as_stated() -> None:
    terms = enforceable(FULL)
    assert terms.purposes == ("RESEARCH", "INDUSTRY")
    assert terms.count == 1000
    assert terms.days == 365
    assert terms.channels == ("hosted",)
    assert terms.recipients == {BUYER}
    assert terms.columns == ("name", "gdp")
    assert terms.rows == "year >= 2020 and name != 'secret'"


def test_the_terms_say_plainly_which_clauses_are_for_courts_only() -> None:
    assert enforced_names(FULL) == [
        "purpose",
        "count",
        "dateTime",
        "elapsedTime",
        "deliveryChannel",
        "recipient",
        "columns",
        "rows",
    ]
    assert legal_only_names(FULL) == [
        "permission:derive",
        "permission:cc:CommercialUse",
        "prohibition:sell",
        "prohibition:distribute",
        "duty:attribute",
        "duty:nextPolicy",
        "spatial",
    ]
    assert enforced_names(OPEN) == legal_only_names(OPEN) == []


def test_a_count_of_zero_is_a_constraint() -> None:
    none_at_all = Licence(actions=(Action.USE,), count=0)
    assert enforced_names(none_at_all) == ["count"]
    assert read(written(none_at_all)).count == 0
