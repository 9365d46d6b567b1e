"""Plans over HTTP: offered, quoted, replaced, retired, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.listings.examples import per_unit_plan, price
from tests.listings.shop import API, Shop, good, refused

PER_UNIT = {"model": "per_unit", "unit_price": price("0.0125")}
GRADUATED = {
    "model": "graduated",
    "tiers": [
        {"up_to": 100, "unit_price": price("0")},
        {"up_to": 1000, "unit_price": price("0.05")},
        {"up_to": None, "unit_price": price("0.02")},
    ],
}


def offer(shop: Shop, listing_id: str, **changes: Any) -> str:
    answer = shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan(**changes))
    return str(good(answer)["id"])


def test_a_quote_is_for_anybody_and_exact(shop: Shop) -> None:
    listing_id = shop.listed()
    (plan,) = good(shop.anonymous.get(f"{API}/{listing_id}/plans"))["items"]
    path = f"{API}/{listing_id}/plans/{plan['id']}/quote"
    for units, minor in ((0, 0), (1, 1), (10, 12), (100, 125), (2**53 - 1, 11258999068426239)):
        quote = good(shop.anonymous.get(path, params={"units": units}))
        assert (quote["plan_id"], quote["units"]) == (plan["id"], units)
        assert quote["total"] == {"amount_minor": minor, "currency": "CNY"}
        assert sum(line["amount"]["amount_minor"] for line in quote["lines"]) == minor


def test_a_quote_tells_what_each_tier_priced(shop: Shop) -> None:
    listing_id = shop.draft()
    plan_id = offer(shop, listing_id, charges=[GRADUATED])
    path = f"{API}/{listing_id}/plans/{plan_id}/quote?units=1500"
    (line,) = good(shop.provider.get(path))["lines"]
    assert [(tier["units"], tier["unit_price"]) for tier in line["tiers"]] == [
        (100, "0"),
        (900, "0.05"),
        (500, "0.02"),
    ]
    assert line["amount"]["amount_minor"] == 5500
    refused(shop.rival.get(path), 404, "not-found")


@pytest.mark.parametrize(
    "units",
    [
        "1e3",
        "1E3",
        "5.0",
        "1.",
        "0x10",
        "-1",
        "",
        " 5",
        "+5",
        "٣",
        "1_000",
        "9007199254740992",
        "x",
    ],
)
def test_units_are_a_whole_number_written_in_digits(shop: Shop, units: str) -> None:
    listing_id = shop.draft()
    path = f"{API}/{listing_id}/plans/{offer(shop, listing_id)}/quote"
    refused(shop.provider.get(path, params={"units": units}), 400, "malformed")


def test_a_quote_is_for_some_units_and_a_plan_of_this_listing(shop: Shop) -> None:
    one, other = shop.draft("one"), shop.draft("other")
    plan_id = offer(shop, one)
    refused(shop.provider.get(f"{API}/{one}/plans/{plan_id}/quote"), 400, "malformed")
    for path in (f"{other}/plans/{plan_id}", f"{one}/plans/pln_01k0000000000000000000000a"):
        refused(shop.provider.get(f"{API}/{path}/quote?units=1"), 404, "not-found")
        refused(shop.provider.get(f"{API}/{path}"), 404, "not-found")


def test_a_retired_plan_is_still_shown_but_neither_offered_nor_quoted(shop: Shop) -> None:
    listing_id = shop.listed()
    plans = f"{API}/{listing_id}/plans"
    plan_id = good(shop.anonymous.get(plans))["items"][0]["id"]
    retired = good(shop.provider.post(f"{plans}/{plan_id}/retire"))
    assert retired["retired_at"] is not None
    assert good(shop.anonymous.get(plans))["items"] == []
    assert good(shop.anonymous.get(f"{plans}/{plan_id}")) == retired
    refused(shop.anonymous.get(f"{plans}/{plan_id}/quote?units=1"), 409, "step-not-allowed")
    refused(shop.provider.post(f"{plans}/{plan_id}/retire"), 409, "step-not-allowed")
    assert shop.leaves(plan_id) == ["plan:offered", "plan:retired"]
    (card,) = good(shop.anonymous.get(API))["items"]
    assert card["price_from"] is None


def test_the_same_name_again_takes_the_place_of_the_plan_and_leaves_it_as_it_was(
    shop: Shop,
) -> None:
    listing_id = shop.listed()
    plans = f"{API}/{listing_id}/plans"
    before = good(shop.anonymous.get(plans))["items"][0]
    cheaper = offer(shop, listing_id, charges=[{**PER_UNIT, "unit_price": price("0.01")}])
    (now_offered,) = good(shop.anonymous.get(plans))["items"]
    assert (now_offered["id"], now_offered["number"]) == (cheaper, 2)
    old = good(shop.anonymous.get(f"{plans}/{before['id']}"))
    assert old.pop("retired_at") is not None
    assert before.pop("retired_at") is None
    assert old == before
    (card,) = good(shop.anonymous.get(API))["items"]
    assert card["price_from"] == price("0.01")


@pytest.mark.parametrize("verb", ["retire", "offer"])
def test_plans_are_the_providers_alone(shop: Shop, verb: str) -> None:
    listing_id = shop.listed()
    plans = f"{API}/{listing_id}/plans"
    plan_id = shop.see(listing_id)["plans"][0]["id"]
    for caller in (shop.rival, shop.reviewer):
        if verb == "offer":
            refused(caller.post(plans, json=per_unit_plan(name="mine")), 404, "not-found")
        else:
            refused(caller.post(f"{plans}/{plan_id}/retire"), 404, "not-found")
    assert [plan["name"] for plan in shop.see(listing_id)["plans"]] == ["standard"]


@pytest.mark.parametrize(
    ("change", "model"),
    [
        ({"charges": [{"model": "recurring"}]}, "recurring"),
        (
            {
                "charges": [
                    PER_UNIT,
                    {
                        "model": "recurring",
                        "every": "month",
                        "amount": {"amount_minor": 100, "currency": "CNY"},
                    },
                ]
            },
            "recurring",
        ),
        ({"charges": [{"model": "revenue_share", "percent": "5"}]}, "revenue_share"),
    ],
)
def test_a_model_that_is_not_billed_yet_is_refused_by_its_name(
    shop: Shop, change: dict[str, Any], model: str
) -> None:
    listing_id = shop.draft()
    answer = shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan(**change))
    problem = refused(answer, 422, "model-not-offered")
    assert problem["model"] == model
    assert "not offered yet" in problem["detail"]
    assert shop.see(listing_id)["plans"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"charges": [{"model": "barter"}]},
        {"charges": [{"units": 5}]},
        {"charges": [{**PER_UNIT, "note": "x"}]},
        {"charges": [{"model": "included", "units": 5, "then": {"model": "recurring"}}]},
        {"charges": PER_UNIT},
        {"trial": True},
        {"trial": {}},
        {"colour": "red"},
    ],
)
def test_a_plan_that_cannot_be_read_is_malformed(shop: Shop, change: dict[str, Any]) -> None:
    listing_id = shop.draft()
    answer = shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan(**change))
    refused(answer, 400, "malformed")


def test_a_plan_whose_numbers_do_not_fit_is_refused_by_rule(shop: Shop) -> None:
    listing_id = shop.draft()
    mixed = per_unit_plan(charges=[PER_UNIT, {**PER_UNIT, "unit_price": price("1", "USD")}])
    answer = shop.provider.post(f"{API}/{listing_id}/plans", json=mixed)
    assert refused(answer, 422, "plan-refused")["rule"] == "mixed-currencies"


def test_a_plan_by_what_the_delivery_does_not_count_is_refused(shop: Shop) -> None:
    listing_id = shop.draft(delivery="upstream")
    path = f"{API}/{listing_id}/plans"
    problem = refused(
        shop.provider.post(path, json=per_unit_plan(meter="row")), 422, "plan-refused"
    )
    assert (problem["rule"], problem["meters"]) == ("meter", ["byte", "call"])
    good(shop.provider.post(path, json=per_unit_plan(meter="byte")))
