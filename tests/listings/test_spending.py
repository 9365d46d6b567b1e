"""A spend cap in units is exactly where the invoice would come to more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.money import Currency, Money
from app.listings.errors import PlanRefused
from app.listings.plans import Plan, plan_document, plan_from_document
from app.listings.spending import never_falls, spend_units, usage_cost

CNY = Currency("CNY")


def price(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def yuan(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "CNY"}


def per_unit(amount: str) -> dict[str, Any]:
    return {"model": "per_unit", "unit_price": price(amount)}


def included(units: int, then: dict[str, Any]) -> dict[str, Any]:
    return {"model": "included", "units": units, "then": then}


def tiers(*parts: tuple[int | None, str, int]) -> list[dict[str, Any]]:
    return [
        {"up_to": up_to, "unit_price": price(amount), "flat": yuan(flat)}
        for up_to, amount, flat in parts
    ]


DEAR_LATER = {"model": "volume", "tiers": tiers((100, "1.00", 0), (None, "1.20", 0))}
CHEAP_LATER = {"model": "volume", "tiers": tiers((100, "1.00", 0), (None, "0.80", 0))}
CHEAP_WITH_FLAT = {"model": "volume", "tiers": tiers((100, "1.00", 0), (None, "0.80", 20_00))}
GRADUATED = {"model": "graduated", "tiers": tiers((100, "1.00", 0), (None, "0.50", 3_00))}
MINIMUM = {"model": "minimum", "amount": yuan(50_00)}


def plan_of(*charges: dict[str, Any], quota: dict[str, Any] | None = None, per: int = 1) -> Plan:
    return msgspec.convert(
        {
            "name": "按量",
            "currency": "CNY",
            "per": per,
            "charges": list(charges),
            "quotas": [] if quota is None else [quota],
        },
        Plan,
    )


def capped(minor: int, **changes: Any) -> dict[str, Any]:
    quota = {"window": "month", "limit_units": 100, "overage": "charge", "spend_cap": yuan(minor)}
    return {**quota, **changes}


@pytest.mark.parametrize(
    ("charges", "cap_minor", "units"),
    [
        ([per_unit("0.50")], 10_00, 20),
        ([per_unit("0.50")], 10_49, 20),
        ([per_unit("0.0125")], 46, 37),
        ([included(100, per_unit("0.50"))], 10_00, 120),
        ([GRADUATED], 103_50, 101),
        ([GRADUATED], 103_00, 100),
        ([{"model": "package", "size": 1_000, "price": yuan(8_00)}], 15_99, 1_000),
        ([DEAR_LATER], 100_00, 100),
        ([per_unit("1.00"), MINIMUM], 60_00, 60),
        ([per_unit("1.00"), {"model": "fixed", "amount": yuan(99_00)}], 5_00, 5),
        ([per_unit("1.00"), {"model": "cap", "amount": yuan(9_00)}], 9_00, None),
        ([{"model": "free"}], 1, None),
    ],
)
def test_a_cap_leaves_the_units_that_cost_no_more(
    charges: list[dict[str, Any]], cap_minor: int, units: int | None
) -> None:
    plan = plan_of(*charges)
    assert spend_units(plan, Money(cap_minor, CNY)) == units


RISING = st.sampled_from(
    [
        per_unit("0.0125"),
        included(7, per_unit("3.00")),
        GRADUATED,
        {"model": "package", "size": 13, "price": yuan(8_00)},
        DEAR_LATER,
        CHEAP_WITH_FLAT,
    ]
)


@given(st.lists(RISING, min_size=1, max_size=3), st.integers(0, 1_000_00), st.sampled_from([1, 9]))
def test_the_unit_after_the_last_would_cost_more_than_the_cap(
    charges: list[dict[str, Any]], cap_minor: int, per: int
) -> None:
    plan = plan_of(*charges, per=per)
    assert never_falls(plan)
    units = spend_units(plan, Money(cap_minor, CNY))
    assert units is not None
    assert usage_cost(plan, units).minor <= cap_minor < usage_cost(plan, units + 1).minor


@pytest.mark.parametrize(
    ("charges", "quota", "rule"),
    [
        ([CHEAP_LATER], capped(10_00), "spend-cap-model"),
        ([included(5, CHEAP_LATER)], capped(10_00), "spend-cap-model"),
        ([per_unit("1.00"), MINIMUM], capped(49_99), "spend-cap-low"),
        ([per_unit("1.00")], capped(10_00, overage="block"), "spend-cap"),
        ([per_unit("1.00")], capped(10_00, window="day"), "spend-cap"),
        ([per_unit("1.00")], capped(10_00, window="contract"), "spend-cap"),
        (
            [per_unit("1.00")],
            capped(0, spend_cap={"amount_minor": 1, "currency": "USD"}),
            "mixed-currencies",
        ),
    ],
)
def test_a_cap_that_no_number_of_units_can_say_is_refused(
    charges: list[dict[str, Any]], quota: dict[str, Any], rule: str
) -> None:
    with pytest.raises(PlanRefused) as refused:
        plan_of(*charges, quota=quota)
    assert refused.value.facts["rule"] == rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"trial": {"units": 0}}, "trial"),
        ({"trial": {"units": 5, "days": 0}}, "trial"),
        ({"quotas": [{"window": "day", "carry_over": {"max_units": 5}}]}, "carry-over"),
        (
            {"quotas": [{"window": "contract", "limit_units": 9, "carry_over": {"max_units": 5}}]},
            "carry-over",
        ),
        (
            {"quotas": [{"window": "day", "limit_units": 9, "carry_over": {"max_units": 0}}]},
            "carry-over",
        ),
        (
            {
                "quotas": [
                    {
                        "window": "day",
                        "limit_units": 9,
                        "carry_over": {"max_units": 5, "min_units": 6},
                    }
                ]
            },
            "carry-over",
        ),
    ],
)
def test_units_that_cannot_be_granted_are_refused(changes: dict[str, Any], rule: str) -> None:
    document = plan_document(plan_of(per_unit("1.00")))
    with pytest.raises(PlanRefused) as refused:
        plan_from_document({**document, **changes})
    assert refused.value.facts["rule"] == rule


def test_a_plan_with_all_of_it_is_written_and_read_again() -> None:
    quota = capped(10_00, carry_over={"max_units": 50, "min_units": 5})
    plan = msgspec.convert(
        {**plan_document(plan_of(per_unit("0.50"), quota=quota)), "trial": {"units": 9, "days": 7}},
        Plan,
    )
    assert plan_from_document(plan_document(plan)) == plan
