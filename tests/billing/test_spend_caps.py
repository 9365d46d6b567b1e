"""A spend cap on overage: what the gateway lets pass is what the invoice says."""

from __future__ import annotations

import asyncio

from app.kernel.clock import epoch_us
from app.metering.granting import load_grant
from app.metering.grants import CompiledGrant
from app.metering.tally.calls import Batch, Outcome
from app.metering.tally.tally import open_driver
from tests.billing.season import Deal, Season, local
from tests.listings.examples import per_unit_plan, price
from tests.metering.calling import call_on

INCLUDED = {
    "model": "included",
    "units": 10,
    "then": {"model": "per_unit", "unit_price": price("0.50")},
}
CAPPED = {
    "window": "month",
    "limit_units": 10,
    "overage": "charge",
    "spend_cap": {"amount_minor": 10_49, "currency": "CNY"},
}


def sign(season: Season) -> tuple[Deal, CompiledGrant]:
    plan = per_unit_plan(charges=[INCLUDED], quotas=[CAPPED])
    contract = season.market.contract(season.market.list_goods(plan=plan))
    season.work()
    deal = Deal(contract["id"], contract["grants"][0]["id"])
    with season.usage() as connection:
        grant = load_grant(connection, deal.grant_id)
    assert grant is not None
    return deal, grant


def test_a_spend_cap_blocks_where_the_invoice_would_exceed_it(season: Season) -> None:
    deal, grant = sign(season)
    assert [(quota.name, quota.limit_units, quota.overage) for quota in grant.windows] == [
        ("quota-0", 10, "charge"),
        ("spend-cap-0", 30, "block"),
    ]
    at_us = epoch_us(local("2026-11-03 09:00:00"))
    calls = tuple(call_on(grant, at_us) for _ in range(32))

    async def run() -> list[Outcome]:
        driver = open_driver(season.installation.settings.usage_url)
        await driver.begin()
        answers = await driver.settle(Batch(calls))
        await driver.close()
        return [answer.outcome for answer in answers]

    assert asyncio.run(run()) == [Outcome.POSTED] * 30 + [Outcome.OVER_LIMIT] * 2
    seen = season.reader(season.market.buyer).get(
        f"/api/v1/billing/preview?contract_id={deal.contract_id}"
    )
    assert seen.json()["net"] == {"amount_minor": 10_00, "currency": "CNY"}
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    assert season.lines() == [("included", 10, 1, 30, 0), ("usage", 20, 1, 30, 10_00)]
