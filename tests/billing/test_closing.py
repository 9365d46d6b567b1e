"""Months are closed and contracts settled: each unit on one line, each line once, whatever dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.billing.billed import contracts_to_bill
from app.billing.checking import problems
from app.billing.closing import close_contract, close_period
from app.billing.errors import PeriodOpen
from app.billing.periods import parse_period
from app.contracts.ending import expire_contracts
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from tests.billing.killing import killed_everywhere
from tests.billing.season import Season, books
from tests.listings.examples import price

YEAR = {"starts_on": "2026-11-02", "ends_on": "2027-11-01"}
TIERS = [
    {"up_to": 100, "unit_price": price("1.00")},
    {"up_to": None, "unit_price": price("0.80")},
]
INCLUDED = {"model": "included", "units": 10, "then": {"model": "graduated", "tiers": TIERS}}


def amount(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "CNY"}


def test_a_month_is_closed_when_it_is_over_and_not_before(season: Season) -> None:
    season.set_clock("2026-11-30 23:59:59")
    early = season.ask_to_close("2026-11")
    assert early.status_code == 409
    assert early.json()["type"] == "urn:zhigu:problem:period-open"
    with pytest.raises(PeriodOpen):
        close_period(season.installation, "2026-11")
    season.set_clock("2026-12-01 00:00:00")
    answer = season.ask_to_close("2026-11")
    assert (answer.status_code, answer.json()["state"]) == (202, "closing")
    season.work()
    found = season.admin.get("/api/v1/billing/periods/2026-11").json()
    assert found["state"] == "closed"
    assert found["closed_at"] is not None


def test_only_an_admin_closes_a_month_and_only_a_month(season: Season) -> None:
    season.set_clock("2026-12-01 00:00:00")
    path = "/api/v1/billing/periods/2026-11/close"
    auditor = season.api.as_client(new_id("org"), "billing:read", "audit:read", roles=["auditor"])
    pretender = season.api.as_client(new_id("org"), "admin")
    assert season.api.anonymous().post(path).status_code == 401
    assert auditor.post(path).status_code == 403
    assert pretender.post(path).status_code == 403
    for text in ("2026-13", "november", "2026-1"):
        assert season.ask_to_close(text).status_code == 400
    assert season.admin.get("/api/v1/billing/periods/2026-11").status_code == 404


def test_contracts_of_a_pair_are_on_one_invoice_each_at_its_own_price(season: Season) -> None:
    first, second = season.sign(), season.sign(INCLUDED)
    season.use(first, "2026-11-03 09:00:00", 100)
    season.use(second, "2026-11-03 09:00:00", 111)
    season.set_clock("2026-12-01 08:00:00")
    season.close("2026-11")
    assert season.invoices() == [("2026-11", "", 100_00 + 100_80)]
    assert season.lines() == [
        ("usage", 100, 1, 100, 100_00),
        ("included", 10, 1, 111, 0),
        ("usage", 101, 1, 111, 100_80),
    ]
    buyer = season.reader(season.market.buyer)
    (listed,) = buyer.get("/api/v1/invoices").json()["items"]
    assert (listed["state"], listed["number"]) == ("issued", "2026-000001")
    shown = buyer.get(f"/api/v1/invoices/{listed['id']}").json()
    assert [line["contract_id"] for line in shown["lines"]] == [
        first.contract_id,
        second.contract_id,
        second.contract_id,
    ]
    assert shown["gross"] == amount(200_80 + 12_05)
    for deal in (first, second):
        by_contract = buyer.get(f"/api/v1/invoices?contract_id={deal.contract_id}").json()
        assert [one["id"] for one in by_contract["items"]] == [listed["id"]]
    assert season.reader(season.market.provider).get("/api/v1/invoices").json()["items"] == [listed]


def test_invoices_are_for_their_two_sides_and_overseers_only(season: Season) -> None:
    season.use(season.sign(), "2026-11-03 09:00:00")
    season.set_clock("2026-12-01 08:00:00")
    season.close("2026-11")
    (listed,) = season.admin.get("/api/v1/invoices").json()["items"]
    path = f"/api/v1/invoices/{listed['id']}"
    stranger = season.reader(season.market.stranger)
    assert stranger.get(path).status_code == 404
    assert stranger.get("/api/v1/invoices").json()["items"] == []
    assert season.api.as_client(new_id("org"), "usage:read").get(path).status_code == 403
    auditor = season.api.as_client(new_id("org"), "billing:read", roles=["auditor"])
    assert auditor.get(path).status_code == 200


def test_a_call_belongs_to_the_month_in_shanghai_that_it_settled_in(season: Season) -> None:
    deal = season.sign()
    season.use(deal, "2026-11-30 23:59:59.999999", 2)
    season.use(deal, "2026-12-01 00:00:00", 3)
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-11")
    season.close("2026-12")
    assert season.invoices() == [("2026-11", "", 2_00), ("2026-12", "", 3_00)]
    assert season.lines() == [("usage", 2, 1, 2, 2_00), ("usage", 3, 3, 5, 3_00)]


def test_tiers_and_included_units_begin_anew_each_month(season: Season) -> None:
    deal = season.sign(INCLUDED)
    season.use(deal, "2026-11-03 09:00:00", 12)
    season.use(deal, "2026-12-03 09:00:00", 12)
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-12")
    assert [net for _, _, net in season.invoices()] == [2_00, 2_00]


def test_earlier_months_that_are_open_come_first_each_with_its_invoice(season: Season) -> None:
    deal = season.sign()
    season.use(deal, "2026-11-03 09:00:00", 1)
    season.use(deal, "2027-01-03 09:00:00", 2)
    season.set_clock("2027-02-01 00:00:00")
    season.close("2027-01")
    assert season.invoices() == [("2026-11", "", 1_00), ("2027-01", "", 2_00)]
    assert [row[1:] for row in season.ranges()] == [
        ("2026-11", 1, 1, 1, True),
        ("2026-12", 2, 1, 0, False),
        ("2027-01", 2, 3, 2, True),
    ]


def test_closing_twice_changes_nothing(season: Season) -> None:
    season.use(season.sign(), "2026-11-03 09:00:00", 5)
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    once = books(season)
    season.close("2026-11")
    season.use(season.sign(starts_on="2026-12-01"), "2026-12-02 09:00:00", 5)
    season.close("2026-11")
    assert books(season) == once


def test_a_contract_that_ends_draws_its_final_invoice_at_once(season: Season) -> None:
    ended, living = season.sign(), season.sign()
    season.use(ended, "2026-11-03 09:00:00", 3)
    season.use(living, "2026-11-03 09:00:00", 4)
    season.use(ended, "2026-12-03 09:00:00", 5)
    season.set_clock("2026-12-10 09:00:00")
    season.end(ended)
    season.work()
    assert season.invoices() == [
        ("2026-11", ended.contract_id, 3_00),
        ("2026-12", ended.contract_id, 5_00),
    ]
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-12")
    assert season.invoices()[2:] == [("2026-11", "", 4_00)]


def test_a_call_that_slips_in_while_the_contract_ends_is_on_the_final_invoice(
    season: Season,
) -> None:
    deal = season.sign()
    season.set_clock("2026-11-10 09:00:00")
    season.end(deal)
    season.use(deal, "2026-11-10 09:00:00.500000", 2)  # the end is not in force yet
    season.work()
    assert season.invoices() == [("2026-11", deal.contract_id, 2_00)]
    with pytest.raises(AssertionError):
        season.use(deal, "2026-11-10 09:00:02")


def test_a_call_that_slips_into_the_next_month_gets_an_invoice_without_minimum(
    season: Season,
) -> None:
    deal = season.sign(
        {"model": "per_unit", "unit_price": price("1.00")},
        {"model": "minimum", "amount": amount(50_00)},
    )
    season.use(deal, "2026-11-29 09:00:00", 3)
    season.set_clock("2026-11-30 23:59:59.900000")
    season.end(deal)
    season.use(deal, "2026-12-01 00:00:00.200000")
    season.set_clock("2026-12-01 00:00:01")
    season.work()
    assert season.invoices() == [
        ("2026-11", deal.contract_id, 50_00),
        ("2026-12", deal.contract_id, 1_00),
    ]


def test_a_contract_that_expires_is_invoiced_too(season: Season) -> None:
    deal = season.sign(starts_on="2026-11-02", ends_on="2026-11-30")
    season.use(deal, "2026-11-30 23:59:59", 3)
    season.set_clock("2026-12-01 00:00:00")
    with season.installation.transaction(OPERATOR) as session:
        assert expire_contracts(session) == 1
    season.work()
    assert season.invoices() == [("2026-11", deal.contract_id, 3_00)]
    assert [row[1] for row in season.ranges()] == ["2026-11"]


def test_a_contract_without_use_or_fixed_price_has_no_invoice(season: Season) -> None:
    deal = season.sign()
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.end(deal)
    season.work()
    assert season.invoices() == []


def test_a_contract_that_ends_before_its_first_day_owes_only_what_was_due_at_signing(
    season: Season,
) -> None:
    """Either side may end it at once: no month that it never lived is billed its minimum."""
    deal = season.sign(
        {"model": "fixed", "amount": amount(300_00)},
        {"model": "per_unit", "unit_price": price("1.00")},
        {"model": "minimum", "amount": amount(50_00)},
        starts_on="2027-01-01",
        ends_on="2027-06-30",
    )
    season.set_clock("2026-12-10 00:00:00")
    season.close("2026-11")
    season.end(deal)
    season.work()
    assert season.invoices() == [("2026-11", deal.contract_id, 300_00)]
    season.set_clock("2027-02-01 00:00:00")
    season.close("2027-01")
    assert season.invoices() == [("2026-11", deal.contract_id, 300_00)]
    with season.session() as session, season.usage() as usage:
        assert list(problems(session, usage)) == []


def test_what_is_due_at_signing_and_each_month_is_due_without_use(season: Season) -> None:
    deal = season.sign(
        {"model": "fixed", "amount": amount(300_00)},
        {"model": "per_unit", "unit_price": price("1.00")},
        {"model": "minimum", "amount": amount(50_00)},
    )
    season.use(deal, "2026-12-03 09:00:00", 20)
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-12")
    assert season.lines() == [
        ("fixed", 0, None, None, 300_00),
        ("minimum", 0, None, None, 50_00),
        ("usage", 20, 1, 20, 20_00),
        ("minimum", 0, None, None, 30_00),
    ]


def test_what_is_given_back_after_closing_lessens_the_next_invoice(season: Season) -> None:
    deal = season.sign()
    first, *_ = season.use(deal, "2026-11-03 09:00:00", 5)
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.give_back(deal, first, "2026-12-02 09:00:00")
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-12")
    season.use(deal, "2027-01-05 09:00:00", 4)
    season.set_clock("2027-02-01 00:00:00")
    season.close("2027-01")
    assert [net for _, _, net in season.invoices()] == [5_00, 3_00]


def test_a_new_price_never_touches_what_was_signed(season: Season) -> None:
    deal = season.sign()
    season.use(deal, "2026-11-30 09:00:00", 2)
    season.market.add_plan(
        name="dearer", charges=[{"model": "per_unit", "unit_price": price("9.00")}]
    )
    season.use(deal, "2026-12-01 09:00:00", 2)
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-12")
    assert [net for _, _, net in season.invoices()] == [2_00, 2_00]


def busy(season: Season) -> tuple[Any, Any]:
    ended, living = season.sign(INCLUDED), season.sign()
    for month in ("2026-11", "2026-12"):
        season.use(ended, f"{month}-03 09:00:00", 12)
        season.use(living, f"{month}-03 09:00:00", 3)
    season.set_clock("2026-12-20 09:00:00")
    season.end(ended)
    season.set_clock("2027-01-01 00:00:00")
    return ended, living


def expected(ended: Any) -> list[tuple[str, str, int]]:
    return [
        ("2026-11", "", 3_00),
        ("2026-11", ended.contract_id, 2_00),
        ("2026-12", "", 3_00),
        ("2026-12", ended.contract_id, 2_00),
    ]


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(season: Season) -> None:
    ended, _ = busy(season)

    def run() -> None:
        close_contract(season.installation, ended.contract_id)
        close_period(season.installation, "2026-12")

    assert killed_everywhere(season.installation, run) > 40
    assert sorted(season.invoices()) == expected(ended)
    done = books(season)
    season.work()
    assert books(season) == done
    assert sum(net for _, _, net in season.invoices()) == 10_00


def test_runs_at_the_same_time_draw_each_invoice_once(season: Season) -> None:
    ended, _ = busy(season)

    def run(number: int) -> None:
        if number % 2:
            close_period(season.installation, "2026-12")
        else:
            close_contract(season.installation, ended.contract_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))
    found = season.invoices()
    assert sum(net for _, _, net in found) == 10_00
    assert {period for period, _, _ in found} == {"2026-11", "2026-12"}
    assert sorted(row[4] for row in season.ranges()) == [3, 3, 12, 12]


def test_a_pair_that_cannot_be_invoiced_keeps_no_other_from_its_invoice(season: Season) -> None:
    """Two fixed prices of almost 2^53 fen cannot be summed into a document that can be signed."""
    huge = {"model": "fixed", "amount": amount(2**53 - 1)}
    season.sign(huge, huge)
    season.market.buyer, season.market.stranger = season.market.stranger, season.market.buyer
    season.use(season.sign(), "2026-11-03 09:00:00", 3)
    season.set_clock("2026-12-01 00:00:00")
    assert season.ask_to_close("2026-11").status_code == 202
    season.work()
    assert season.invoices() == [("2026-11", "", 3_00)]
    found = season.admin.get("/api/v1/billing/periods/2026-11").json()
    assert (found["state"], found["closed_at"]) == ("closing", None)
    with pytest.raises(ExceptionGroup, match=season.market.stranger.id):
        close_period(season.installation, "2026-11")


def test_no_contract_is_looked_at_again_that_is_invoiced_to_its_end(season: Season) -> None:
    living, ended, ending = (season.sign() for _ in range(3))
    season.use(ended, "2026-11-03 09:00:00", 3)
    season.set_clock("2026-11-30 09:00:00")
    season.end(ended)
    season.work()
    season.end(ending)  # not in force yet: a call could still settle
    season.set_clock("2026-12-01 09:00:00")
    close_period(season.installation, "2026-11")
    assert to_bill(season) == [living.contract_id, ending.contract_id]
    season.work()
    assert to_bill(season) == [living.contract_id]


def to_bill(season: Season) -> list[str]:
    with season.session() as session:
        pairs = contracts_to_bill(session, parse_period("2027-03"))
    return [contract_id for contract_ids in pairs.values() for contract_id in contract_ids]


def test_closing_draws_once_however_often_the_clock_is_set_back(season: Season) -> None:
    season.use(season.sign(), "2026-11-03 09:00:00", 5)
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.clock.advance(timedelta(days=-40))
    assert season.ask_to_close("2026-11").status_code == 409
    assert len(season.invoices()) == 1
