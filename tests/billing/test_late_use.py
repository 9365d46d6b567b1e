"""Use that is reported after its month was closed stands on the next invoice, line by line."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from app.kernel.clock import epoch_us
from app.listings.models import Delivery
from app.metering.reported.late_use import late_units
from app.metering.tables import usage_report
from app.metering.tally.calls import Settled
from tests.billing.season import ONE_YUAN, Deal, Season, local
from tests.billing.test_checking import break_rows, found
from tests.billing.test_closing import to_bill
from tests.listings.examples import per_unit_plan
from tests.metering.reports import report, send, statuses


def say_when(season: Season, deal: Deal, event: Settled, at: str) -> None:
    """Note that an event was reported, and when its use occurred; no more of it matters here."""
    with season.installation.usage_transaction() as connection:
        connection.execute(
            insert(usage_report).values(
                grant_id=deal.grant_id,
                number=event.number,
                provider_id=season.market.provider.id,
                source="/deliveries",
                source_id=f"{deal.grant_id} {event.number}",
                occurred_at_us=epoch_us(local(at)),
                counts_at_us=event.settled_at_us,
                corrects=None,
            )
        )


@pytest.fixture
def late(season: Season) -> tuple[Season, Deal]:
    """November was closed at 5 calls. In December came 3 of its own and 2 of November, and one of
    November's was taken back; in January 2 of November were.
    """
    deal = season.sign()
    november = season.use(deal, "2026-11-03 09:00:00", 5)
    for event in november:
        say_when(season, deal, event, "2026-11-03 09:00:00")
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.use(deal, "2026-12-03 09:00:00", 3)
    for event, at in zip(
        season.use(deal, "2026-12-04 09:00:00", 2),
        ("2026-11-30 23:59:59.999999", "2026-12-01 00:00:00"),
        strict=True,
    ):
        say_when(season, deal, event, at)
    season.give_back(deal, november[0], "2026-12-05 09:00:00")
    season.give_back(deal, november[1], "2027-01-05 09:00:00")
    season.give_back(deal, november[2], "2027-01-06 09:00:00")
    season.set_clock("2027-01-02 00:00:00")
    return season, deal


def test_late_use_is_told_by_the_month_that_it_occurred_in(late: tuple[Season, Deal]) -> None:
    season, deal = late
    with season.usage() as connection:
        before_us = epoch_us(local("2026-12-01"))
        assert late_units(connection, deal.grant_id, 6, 11, before_us) == {}
        assert late_units(connection, deal.grant_id, 6, 9, before_us) == {"2026-11": 1}
        assert late_units(connection, deal.grant_id, 11, 13, before_us) == {"2026-11": -3}


def test_late_use_stands_on_the_next_invoice_and_the_preview_says_so(
    late: tuple[Season, Deal],
) -> None:
    season, deal = late
    reader = season.reader(season.market.buyer)
    preview = reader.get(f"/api/v1/billing/preview?contract_id={deal.contract_id}").json()
    season.close("2026-12")
    assert found(season.installation) == []
    [december] = [one for one in season.lines() if one[2] == 6]
    # Three calls and the one that occurred on the first of December; November's cancel out.
    assert december == ("usage", 4, 6, 11, 4_00)
    assert preview["months"][0]["net"]["amount_minor"] == 4_00

    season.set_clock("2027-02-01 00:00:00")
    season.use(deal, "2027-01-07 09:00:00", 1)
    season.close("2027-01")
    # Two yuan are to be given back, January came to one: the other waits.
    assert season.lines()[-2:] == [("usage", 1, 12, 14, 1_00), ("credit", 1, 12, 14, -1_00)]
    assert season.invoices()[-1][2] == 0
    season.use(deal, "2027-02-07 09:00:00", 3)
    season.set_clock("2027-03-01 00:00:00")
    season.close("2027-02")
    assert season.lines()[-2:] == [("usage", 3, 15, 17, 3_00), ("credit", 1, 15, 17, -1_00)]
    assert found(season.installation) == []


def test_use_told_of_after_the_end_is_invoiced_and_the_books_stay_open_for_it(
    season: Season,
) -> None:
    plan = per_unit_plan(charges=[ONE_YUAN], quotas=[])
    goods = season.market.list_goods(delivery=Delivery.REPORTED, plan=plan)
    contract = season.market.contract(goods, channel="reported")
    season.work()
    deal = Deal(contract["id"], contract["grants"][0]["id"])
    provider = season.api.as_client(season.market.provider.id, "usage:write")

    def tell(name: str, units: int, time: str) -> list[str]:
        return statuses(send(provider, report(name, units, subject=deal.contract_id, time=time)))

    season.set_clock("2026-11-10 12:00:00")
    assert tell("before", 3, "2026-11-10T03:00:00Z") == ["posted"]
    season.end(deal)
    season.work()
    assert season.invoices() == [("2026-11", deal.contract_id, 3_00)]

    season.set_clock("2026-11-12 12:00:00")
    assert tell("last", 4, "2026-11-10T03:59:59Z") == ["posted"]
    assert tell("after", 5, "2026-11-10T04:00:01Z") == ["refused:grant-not-live"]
    season.set_clock("2027-01-01 00:00:00")
    season.close("2026-11")
    season.close("2026-12")
    assert season.invoices()[1:] == [("2026-12", deal.contract_id, 4_00)]
    assert season.lines()[-1] == ("late", 4, 2, 2, 4_00)
    assert to_bill(season) == [deal.contract_id], "more may be told of"

    season.set_clock("2027-02-09 12:00:00")
    assert tell("too late", 1, "2026-11-10T03:59:59Z") == ["refused:usage-too-late"]
    season.set_clock("2027-02-10 12:00:00")
    season.close("2027-01")
    assert to_bill(season) == []
    assert len(season.invoices()) == 2
    assert found(season.installation) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE invoice_line SET units = 2 WHERE kind = 'credit'", "late use of grt_"),
        ("UPDATE invoice_line SET late_for = '2026-10' WHERE kind = 'credit'", "late use of grt_"),
        ("UPDATE invoice_line SET first_number = 13 WHERE kind = 'credit'", "late use of grt_"),
        ("DELETE FROM invoice_line WHERE kind = 'credit'", "late use of grt_"),
        (
            "UPDATE invoiced_range SET late = '[]' WHERE period = '2027-01'",
            "units of earlier months",
        ),
    ],
)
def test_broken_late_use_is_named(late: tuple[Season, Deal], statement: str, wanted: str) -> None:
    season, deal = late
    season.set_clock("2027-02-01 00:00:00")
    season.use(deal, "2027-01-07 09:00:00", 1)
    season.close("2027-01")
    break_rows(season.installation.market, statement)
    problems = found(season.installation)
    assert any(wanted in one for one in problems), problems
