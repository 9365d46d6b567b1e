"""Gates: every required field is asked for by name, and every rule says no with its basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.listings.charges import Amount as ChargedAmount
from app.listings.charges import Fixed, Free, PerUnit, UnitPrice
from app.listings.codes import Delivery
from app.listings.gates import COUNTABLE, Candidate, failures
from app.listings.legal_rules import LEGAL_RULES, LegalRule, basis
from app.listings.licences import Licence, licence_from_terms
from app.listings.metadata import metadata_from
from app.listings.plans import Meter, Plan
from tests.listings.examples import (
    EVIDENCE,
    REQUIRED,
    complete_metadata,
    licence_terms,
    qualification,
)

TODAY = date(2026, 11, 2)
PLAN = Plan(name="standard", currency="CNY", charges=(PerUnit(UnitPrice("1", "CNY")),))
FREE_PLAN = Plan(name="free", currency="CNY", charges=(Free(),))


def candidate(licence: Licence | None = None, **metadata: Any) -> Candidate:
    return Candidate(
        metadata=metadata_from(complete_metadata(**metadata)),
        delivery=Delivery.HOSTED,
        licence=licence or licence_from_terms(licence_terms()),
        plans=[PLAN],
        columns={"country": "VARCHAR", "gdp": "DOUBLE"},
        has_upstream=False,
        today=TODAY,
    )


def gates_of(asking: Candidate) -> list[str]:
    return [failure.gate for failure in failures(asking)]


def test_a_complete_listing_passes_every_gate() -> None:
    assert failures(candidate()) == []


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named(field: str) -> None:
    (failure,) = failures(candidate(**{field: None}))
    assert failure.gate == field
    assert field in failure.reason
    assert failure.basis


@pytest.mark.parametrize("field", ["keywords", "scene", "rights", "source_evidence"])
def test_an_empty_list_is_as_good_as_none(field: str) -> None:
    assert gates_of(candidate(**{field: []})) == [field]


def test_text_of_blanks_is_as_good_as_none() -> None:
    assert gates_of(candidate(abstract="  ")) == ["abstract"]


def test_nothing_denied_is_an_answer() -> None:
    assert gates_of(candidate(purposes_denied=[])) == []


def test_an_empty_draft_hears_everything_at_once() -> None:
    empty = replace(candidate(), metadata=metadata_from({}), licence=None, plans=[], columns=None)
    assert gates_of(empty) == [
        *REQUIRED,
        "schema",
        "row_count",
        "size_bytes",
        "sample_ref",
        "pricing",
        "licence",
    ]


CONDITIONAL: list[tuple[dict[str, Any], list[str]]] = [
    ({"form": "API"}, ["api_in", "api_out", "tech_doc"]),
    (
        {
            "form": "API",
            "api_in": [{"name": "q"}],
            "api_out": [{"name": "a"}],
            "tech_doc": EVIDENCE,
        },
        [],
    ),
    (
        {"public_data_kind": "authorised"},
        ["registration_no", "resource_class", "resource_code"],
    ),
    ({"open_type": "CONDITIONAL"}, ["open_condition"]),
    ({"open_type": "CONDITIONAL", "open_condition": "实名"}, []),
    ({"open_type": "DENIED"}, ["open_type"]),
    ({"source_mode": "TRADED"}, ["parent_products"]),
    ({"source_mode": "TRADED", "parent_products": ["ZG1"]}, []),
    ({"region_code": "5001"}, ["region_code"]),
    ({"region_code": "990000"}, ["region_code"]),
    ({"region_code": "500008"}, ["region_code"]),
    ({"region_code": "100000"}, []),
    ({"region_code": "110000"}, []),
    ({"region_code": "１１００００"}, ["region_code"]),
    ({"sector_code": "Z1"}, ["sector_code"]),
    ({"sector_code": "I6432"}, []),
    ({"sector_code": "I64321"}, ["sector_code"]),
    ({"time_from": "2024-01-01", "time_to": "2023-12-31"}, ["time_to"]),
    ({"contact": {"name": "x"}}, ["contact"]),
    ({"delivery_modes": ["file"]}, ["delivery_modes"]),
    ({"qualifications": [qualification("COMPLIANCE")]}, ["qualifications"]),
    ({"qualifications": [qualification("QUALITY")]}, ["qualifications", "qualifications"]),
    (
        {
            "qualifications": [
                qualification("COMPLIANCE", valid_to="2026-11-01"),
                qualification("COMMITMENT", valid_to="2026-11-02"),
            ]
        },
        ["qualifications"],
    ),
    ({"data_level": "CORE"}, ["data_level"]),
    ({"data_level": "IMPORTANT"}, ["risk_assessment_ref"]),
    ({"data_level": "IMPORTANT", "risk_assessment_ref": EVIDENCE}, []),
    ({"pi_class": "ANONYMISED"}, ["anonymisation_report"]),
    ({"pi_class": "ANONYMISED", "anonymisation_report": EVIDENCE}, []),
    ({"pi_class": "DEIDENTIFIED"}, ["pia_ref", "consent_ref"]),
    ({"pi_class": "PERSONAL"}, ["pia_ref", "consent_ref"]),
    ({"pi_class": "PERSONAL", "pia_ref": EVIDENCE, "consent_ref": EVIDENCE}, []),
    (
        {"pi_class": "SENSITIVE", "pia_ref": EVIDENCE, "consent_ref": EVIDENCE},
        ["pi_sensitive"],
    ),
    ({"pi_sensitive": True}, ["pi_class"]),
    ({"pi_minor": True}, ["pi_class"]),
    (
        {
            "public_data_kind": "shared",
            "registration_no": "1",
            "resource_class": "1",
            "resource_code": "1",
        },
        ["public_data_kind"],
    ),
    (
        {
            "public_data_kind": "authorised",
            "registration_no": "1",
            "resource_class": "1",
            "resource_code": "1",
            "pi_class": "PERSONAL",
            "pia_ref": EVIDENCE,
            "consent_ref": EVIDENCE,
        },
        ["pi_class"],
    ),
    ({"schema": [{"name": "gdp", "unit": "USD"}]}, []),
    ({"schema": [{"name": "nope"}]}, ["schema"]),
    ({"purposes_denied": ["RESEARCH"]}, ["purposes_denied"]),
    ({"purposes_allowed": ["RESEARCH"]}, ["licence"]),
]


@pytest.mark.parametrize(("change", "gates"), CONDITIONAL)
def test_a_rule_says_no_and_why(change: dict[str, Any], gates: Sequence[str]) -> None:
    found = failures(candidate(**change))
    assert [failure.gate for failure in found] == gates
    assert all(failure.reason and failure.basis for failure in found)


OPEN = {
    "public_data_kind": "open",
    "open_type": "UNCONDITIONAL",
    "registration_no": "1",
    "resource_class": "1",
    "resource_code": "1",
}


def test_open_government_data_costs_nothing() -> None:
    assert gates_of(candidate(**OPEN)) == ["pricing"]
    assert gates_of(replace(candidate(**OPEN), plans=[FREE_PLAN])) == []
    hidden = Plan(name="p", currency="CNY", charges=(Free(), Fixed(ChargedAmount(1, "CNY"))))
    assert gates_of(replace(candidate(**OPEN), plans=[FREE_PLAN, hidden])) == ["pricing"]


def test_a_listing_needs_a_plan_a_licence_and_its_data() -> None:
    assert gates_of(replace(candidate(), plans=[])) == ["pricing"]
    assert gates_of(replace(candidate(), licence=None)) == ["licence"]
    assert gates_of(replace(candidate(), columns=None)) == [
        "schema",
        "row_count",
        "size_bytes",
        "sample_ref",
    ]
    proxied = replace(candidate(delivery_modes=["upstream"]), delivery=Delivery.UPSTREAM)
    assert gates_of(replace(proxied, columns=None)) == ["upstream"]
    assert gates_of(replace(proxied, columns=None, has_upstream=True)) == []
    outside = candidate(delivery_modes=["reported"])
    assert gates_of(replace(outside, delivery=Delivery.REPORTED)) == []


@pytest.mark.parametrize(
    "terms",
    [
        {"purposes": ["RESEARCH", "INTERNAL"]},
        {"purposes": None},
        {"channels": ["file"]},
        {"ends_on": "2026-11-01"},
        {"columns": ["country", "secret"]},
        {"rows": "secret = 1"},
        {"rows": "gdp > 'much'"},
        {"rows": "gdp > 1 or"},
        {"rows": "gdp > 1; drop table x"},
    ],
)
def test_a_licence_that_does_not_fit_the_listing_fails(terms: dict[str, Any]) -> None:
    licence = licence_from_terms(licence_terms(**terms))
    assert gates_of(candidate(licence)) == ["licence"]


def test_columns_and_rows_are_licensed_of_data_that_lie_here_only() -> None:
    for terms in ({"columns": ["gdp"]}, {"rows": "gdp > 1"}):
        proxied = candidate(licence_from_terms(licence_terms(**terms)), delivery_modes=["upstream"])
        asking = replace(proxied, delivery=Delivery.UPSTREAM, columns=None, has_upstream=True)
        assert gates_of(asking) == ["licence"]


def test_a_licence_may_be_narrower_than_the_metadata() -> None:
    narrow = licence_terms(purposes=["RESEARCH"], ends_on="2026-11-02", columns=["gdp"])
    narrow |= {"rows": "country in ('CN', 'DE') and gdp is not null"}
    assert gates_of(candidate(licence_from_terms(narrow))) == []


def test_the_basis_is_the_newest_rule_in_force_on_the_day() -> None:
    rules = [
        LegalRule("x", "旧法", "1", date(2020, 1, 1), date(2025, 12, 31)),
        LegalRule("x", "新法", "2", date(2026, 1, 1)),
        LegalRule("y", "他法", "3", date(2020, 1, 1)),
    ]
    assert basis("x", date(2025, 12, 31), rules) == "旧法 1"
    assert basis("x", date(2026, 1, 1), rules) == "新法 2"
    assert basis("x", date(2019, 1, 1), rules) == ""


def test_every_rule_has_one_row_in_force_today() -> None:
    codes = {rule.code for rule in LEGAL_RULES}
    assert all(basis(code, TODAY) for code in codes)


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("meter", Meter)
def test_what_nobody_here_can_count_is_not_sold(delivery: Delivery, meter: Meter) -> None:
    plan = Plan(name="one", currency="CNY", meter=meter, charges=PLAN.charges)
    asking = replace(candidate(), delivery=delivery, plans=[plan], has_upstream=True)
    is_refused = any("does not count by" in failure.reason for failure in failures(asking))
    assert is_refused == (meter not in COUNTABLE[delivery])


def test_a_row_of_somebody_elses_answer_is_nothing_that_can_be_counted() -> None:
    assert COUNTABLE[Delivery.UPSTREAM] == {Meter.CALL, Meter.BYTE}
