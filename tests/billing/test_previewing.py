"""A preview says what the invoice will say, and to nobody else."""

from __future__ import annotations

from typing import Any

from tests.billing.season import Deal, Season
from tests.listings.examples import price

TIERS = [
    {"up_to": 100, "unit_price": price("1.00")},
    {"up_to": None, "unit_price": price("0.80")},
]
INCLUDED = {"model": "included", "units": 10, "then": {"model": "graduated", "tiers": TIERS}}


def preview(season: Season, deal: Deal, **options: Any) -> Any:
    caller = options.get("caller") or season.reader(season.market.buyer)
    return caller.get(f"/api/v1/billing/preview?contract_id={deal.contract_id}")


def test_a_preview_and_the_invoice_are_the_same(season: Season) -> None:
    deal = season.sign(INCLUDED)
    season.use(deal, "2026-11-03 09:00:00", 111)
    season.set_clock("2026-11-30 23:59:59")
    seen = preview(season, deal).json()
    assert seen["units"] == 111
    (month,) = seen["months"]
    assert month["period"] == "2026-11"
    assert [(line["kind"], line["units"]) for line in month["lines"]] == [
        ("included", 10),
        ("usage", 101),
    ]
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    (invoice,) = season.admin.get("/api/v1/invoices").json()["items"]
    for name in ("net", "vat", "gross"):
        assert seen[name] == invoice[name] == month[name]


def test_a_preview_counts_only_what_is_on_no_invoice_month_by_month(season: Season) -> None:
    deal = season.sign()
    season.use(deal, "2026-11-03 09:00:00", 2)
    season.use(deal, "2026-12-03 09:00:00", 3)
    season.set_clock("2026-12-10 09:00:00")
    both = preview(season, deal).json()
    assert [(month["period"], month["units"]) for month in both["months"]] == [
        ("2026-11", 2),
        ("2026-12", 3),
    ]
    assert both["net"] == {"amount_minor": 5_00, "currency": "CNY"}
    season.close("2026-11")
    assert [month["units"] for month in preview(season, deal).json()["months"]] == [3]
    season.end(deal)
    season.work()
    done = preview(season, deal).json()
    assert (done["months"], done["gross"]["amount_minor"]) == ([], 0)


def test_granted_units_are_shown_and_cost_nothing(season: Season) -> None:
    deal = season.sign(INCLUDED)
    season.grant_units(deal, 20)
    season.use(deal, "2026-11-03 09:00:00", 35)
    season.set_clock("2026-11-30 23:59:59")
    seen = preview(season, deal).json()
    (month,) = seen["months"]
    assert (month["units"], seen["net"]["amount_minor"]) == (15, 5_00)
    assert [
        (line["kind"], line["units"], line["amount"]["amount_minor"]) for line in month["lines"]
    ] == [
        ("included", 10, 0),
        ("usage", 5, 5_00),
        ("granted", 20, 0),
    ]
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    (invoice,) = season.admin.get("/api/v1/invoices").json()["items"]
    assert invoice["net"] == seen["net"]
    assert season.lines() == [
        ("included", 10, 1, 35, 0),
        ("usage", 5, 1, 35, 5_00),
        ("granted", 20, 1, 35, 0),
    ]


def test_a_month_of_granted_units_alone_is_invoiced_at_nothing(season: Season) -> None:
    deal = season.sign()
    season.grant_units(deal, 20)
    event, *_ = season.use(deal, "2026-11-03 09:00:00", 3)
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.give_back(deal, event, "2026-12-02 09:00:00")
    season.use(deal, "2026-12-11 09:00:00", 19)
    season.set_clock("2027-01-01 00:00:00")
    seen = preview(season, deal).json()
    assert [(month["units"], month["net"]["amount_minor"]) for month in seen["months"]] == [
        (1, 1_00),
        (0, 0),
    ]
    season.close("2026-12")
    assert [net for _, _, net in season.invoices()] == [0, 1_00]
    assert season.lines() == [
        ("granted", 3, 1, 3, 0),
        ("usage", 1, 4, 23, 1_00),
        ("granted", 17, 4, 23, 0),
    ]


def test_what_was_given_back_is_taken_off(season: Season) -> None:
    deal = season.sign()
    event, *_ = season.use(deal, "2026-11-03 09:00:00", 5)
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.give_back(deal, event, "2026-12-02 09:00:00")
    season.set_clock("2026-12-10 09:00:00")
    assert preview(season, deal).json()["units"] == 0
    season.use(deal, "2026-12-11 09:00:00", 3)
    assert preview(season, deal).json()["units"] == 2


def test_a_preview_is_for_the_contracts_two_sides(season: Season) -> None:
    deal = season.sign()
    market = season.market
    assert preview(season, deal, caller=season.reader(market.provider)).status_code == 200
    assert preview(season, deal, caller=season.reader(market.stranger)).status_code == 404
    assert preview(season, Deal("ctr_unknown", "")).status_code == 404
