"""Plans: what cannot be made, and that a plan survives its document exactly."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.canonical import canonical
from app.listings.charges import (
    Amount,
    Cap,
    Charge,
    Fixed,
    Free,
    Graduated,
    Included,
    Minimum,
    Package,
    PerUnit,
    Tier,
    UnitPrice,
    Volume,
)
from app.listings.errors import PlanRefused
from app.listings.plans import (
    Meter,
    Overage,
    Plan,
    Quota,
    Rate,
    WindowKind,
    currency_for,
    plan_document,
    plan_from_document,
)

ONE = UnitPrice("1", "CNY")
TEN_YUAN = Amount(10_00, "CNY")
PER_UNIT = PerUnit(ONE)

FULL = Plan(
    name="标准版",
    currency="CNY",
    meter=Meter.ROW,
    per=1000,
    charges=(
        Free(),
        Fixed(TEN_YUAN),
        PerUnit(UnitPrice("0.012500000000", "CNY")),
        Package(100, TEN_YUAN),
        Graduated((Tier(10, ONE, TEN_YUAN), Tier(None, UnitPrice("0.50", "CNY")))),
        Volume((Tier(None, ONE),), flat_at_zero=True),
        Included(100, PER_UNIT),
        Minimum(TEN_YUAN),
        Cap(TEN_YUAN),
    ),
    quotas=(
        Quota(WindowKind.CONTRACT, 1000),
        Quota(WindowKind.DAY, 10, Overage.CHARGE),
        Quota(WindowKind.YEAR),
    ),
    rate=Rate(50, 100),
    billable_statuses=(200, 203, 404),
)


def test_a_plan_survives_its_document_exactly() -> None:
    document = plan_document(FULL)
    assert plan_from_document(json.loads(json.dumps(document))) == FULL
    assert canonical(plan_document(plan_from_document(document))) == canonical(document)


def test_the_document_is_the_one_of_the_api() -> None:
    document = plan_document(FULL)
    assert document["charges"][2] == {
        "model": "per_unit",
        "unit_price": {"amount": "0.012500000000", "currency": "CNY"},
    }
    assert document["charges"][4] == {
        "model": "graduated",
        "tiers": [
            {
                "up_to": 10,
                "unit_price": {"amount": "1", "currency": "CNY"},
                "flat": {"amount_minor": 1000, "currency": "CNY"},
            },
            {
                "up_to": None,
                "unit_price": {"amount": "0.50", "currency": "CNY"},
                "flat": None,
            },
        ],
        "flat_at_zero": False,
    }
    assert document["charges"][6]["then"]["model"] == "per_unit"
    assert document["quotas"][0] == {
        "window": "contract",
        "limit_units": 1000,
        "overage": "block",
        "spend_cap": None,
        "carry_over": None,
    }
    assert document["rate"] == {"per_second": 50, "burst": 100}


PRICE_TEXTS = st.from_regex(
    r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?", fullmatch=True, alphabet="0123456789."
)


@given(PRICE_TEXTS, st.integers(1, 2**53 - 1))
def test_price_text_is_kept_to_the_letter(text: str, size: int) -> None:
    priced = Plan(
        name="p", currency="CNY", charges=(PerUnit(UnitPrice(text, "CNY")), Package(size, TEN_YUAN))
    )
    document = json.loads(json.dumps(plan_document(priced)))
    assert document["charges"][0]["unit_price"]["amount"] == text
    assert plan_from_document(document) == priced


def tiers(*ends: int | None, text: str = "1") -> tuple[Tier, ...]:
    return tuple(Tier(end, UnitPrice(text, "CNY")) for end in ends)


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        ((), "tier-count"),
        (tiers(*range(1, 51), None), "tier-count"),
        (tiers(100), "last-tier-missing"),
        (tiers(100, 1000), "last-tier-missing"),
        (tiers(100, 100, None), "tiers-overlap"),
        (tiers(100, 50, None), "tiers-overlap"),
        (tiers(None, None), "tiers-overlap"),
        (tiers(None, 100, None), "tiers-overlap"),
        (tiers(0, None), "tiers-overlap"),
        (tiers(-5, None), "tiers-overlap"),
        (tiers(2**53, None), "up_to"),
        ((Tier(5, ONE), Tier(None, UnitPrice("1", "USD"))), "mixed-currencies"),
        ((Tier(5, ONE, Amount(1, "USD")), Tier(None, ONE)), "mixed-currencies"),
    ],
)
@pytest.mark.parametrize("model", [Graduated, Volume])
def test_tiers_that_leave_a_unit_without_one_price_are_refused(
    model: type[Graduated | Volume], steps: tuple[Tier, ...], rule: str
) -> None:
    with pytest.raises(PlanRefused) as refused:
        model(steps)
    assert refused.value.facts["rule"] == rule


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "-0.01",
        "",
        "1.",
        ".5",
        "01",
        "1e3",
        "NaN",
        "Infinity",
        "1,5",
        " 1",
        "1\n",
        "١",
        "0.0000000000001",
        "1000000000",
        "1_000",
    ],
)
def test_a_unit_price_is_plain_decimal_text(text: str) -> None:
    with pytest.raises(PlanRefused):
        UnitPrice(text, "CNY")


@pytest.mark.parametrize("currency", ["XXX", "cny", "", "CNYY", "BTC"])
def test_a_currency_that_is_not_traded_is_refused(currency: str) -> None:
    with pytest.raises(PlanRefused):
        UnitPrice("1", currency)
    with pytest.raises(PlanRefused):
        Amount(1, currency)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Amount(-1, "CNY"), "amount_minor"),
        (lambda: Amount(2**53, "CNY"), "amount_minor"),
        (lambda: Package(0, TEN_YUAN), "size"),
        (lambda: Package(-10, TEN_YUAN), "size"),
        (lambda: Included(0, PER_UNIT), "units"),
        (lambda: Quota(WindowKind.DAY, -1), "limit_units"),
        (lambda: Quota(WindowKind.DAY, 2**53), "limit_units"),
        (lambda: Rate(0, 1), "rate"),
        (lambda: Rate(1, 0), "rate"),
        (lambda: Rate(10**9, 1), "rate"),
    ],
)
def test_a_part_with_an_impossible_number_is_refused(make: Any, rule: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        make()
    assert refused.value.facts["rule"] == rule


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"charges": ()}, "charge-count"),
        ({"charges": (PER_UNIT,) * 21}, "charge-count"),
        ({"charges": (PerUnit(UnitPrice("1", "USD")),)}, "mixed-currencies"),
        ({"charges": (PER_UNIT, Fixed(Amount(1, "USD")))}, "mixed-currencies"),
        ({"charges": (Minimum(TEN_YUAN),)}, "nothing-to-bound"),
        ({"charges": (Minimum(TEN_YUAN), Cap(TEN_YUAN))}, "nothing-to-bound"),
        ({"charges": (PER_UNIT, Cap(TEN_YUAN), Cap(TEN_YUAN))}, "bounds-repeated"),
        ({"charges": (PER_UNIT, Minimum(TEN_YUAN), Minimum(TEN_YUAN))}, "bounds-repeated"),
        ({"charges": (PER_UNIT, Minimum(TEN_YUAN), Cap(Amount(1, "CNY")))}, "minimum-above-cap"),
        ({"quotas": (Quota(WindowKind.DAY, 1), Quota(WindowKind.DAY, 2))}, "quotas-repeated"),
        ({"quotas": (Quota(WindowKind.DAY, 1),) * 11}, "quota-count"),
        ({"billable_statuses": ()}, "billable-statuses"),
        ({"billable_statuses": (200, 200)}, "billable-statuses"),
        ({"billable_statuses": (404, 200)}, "billable-statuses"),
        ({"billable_statuses": (200, 500)}, "billable-statuses"),
        ({"billable_statuses": (199,)}, "billable-statuses"),
        ({"per": 0}, "per"),
        ({"per": 2**41}, "per"),
        ({"currency": "XXX"}, "currency"),
    ],
)
def test_a_plan_that_does_not_fit_together_is_refused(change: dict[str, Any], rule: str) -> None:
    values: dict[str, Any] = {"name": "p", "currency": "CNY", "charges": (PER_UNIT,), **change}
    with pytest.raises(PlanRefused) as refused:
        Plan(**values)
    assert refused.value.facts["rule"] == rule


def test_a_quota_may_block_and_another_count_beyond_in_the_same_window() -> None:
    quotas = (Quota(WindowKind.DAY, 10, Overage.CHARGE), Quota(WindowKind.DAY, 20))
    assert Plan(name="p", currency="CNY", charges=(PER_UNIT,), quotas=quotas).quotas == quotas


def test_the_currency_comes_from_the_amounts() -> None:
    assert currency_for((Free(),), None) == "CNY"
    assert currency_for((Free(),), "USD") == "USD"
    assert currency_for((PerUnit(UnitPrice("1", "JPY")), Free()), None) == "JPY"
    with pytest.raises(PlanRefused):
        currency_for((PER_UNIT, PerUnit(UnitPrice("1", "JPY"))), None)


@pytest.mark.parametrize(
    "charge",
    [
        {"model": "per_unit", "unit_price": {"amount": 0.5, "currency": "CNY"}},
        {"model": "per_unit", "unit_price": "0.5"},
        {"model": "per_unit"},
        {"model": "free", "note": "x"},
        {"model": "barter"},
        {"model": "included", "units": 5, "then": {"model": "free"}},
        {"model": "package", "size": "5", "price": {"amount_minor": 1, "currency": "CNY"}},
        {"model": "package", "size": 5, "price": {"amount_minor": 1.5, "currency": "CNY"}},
    ],
)
def test_a_document_of_another_shape_is_not_read(charge: dict[str, Any]) -> None:
    document = {"name": "p", "currency": "CNY", "charges": [charge]}
    with pytest.raises(msgspec.ValidationError):
        plan_from_document(document)


def test_a_rule_broken_in_a_document_is_told_as_the_rule() -> None:
    charges: tuple[Charge, ...] = (PER_UNIT,)
    document = plan_document(Plan(name="p", currency="CNY", charges=charges))
    document["charges"][0]["unit_price"]["amount"] = "-1"
    with pytest.raises(PlanRefused):
        plan_from_document(document)
