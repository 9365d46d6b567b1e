"""Shapes of closing and previewing in the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.billing.fees import Breakdown
from app.billing.invoices.lines import describe
from app.billing.models import PeriodClosing
from app.billing.previewing import OpenMonth
from app.http.examples import looks_like
from app.http.schemas import MoneyView, View, money_view
from app.kernel.money import Currency, Money, total


@looks_like(state="closing")
class PeriodView(View):
    """A month that was asked to be closed: `closing` until every contract's use is on invoices."""

    period: str
    state: str
    requested_at: datetime
    closed_at: datetime | None


@looks_like(
    charge=0, kind="usage", description="世界各国国内生产总值 · standard · 用量, 1,000 × call"
)
class PreviewLineView(View):
    """A line that the month's invoice would have now."""

    charge: int
    model: str
    kind: str
    description: str
    units: int
    amount: MoneyView


class PreviewMonthView(View):
    """A month that is on no invoice yet, and what it comes to by now."""

    period: str
    units: int
    lines: list[PreviewLineView]
    net: MoneyView
    vat: MoneyView
    gross: MoneyView


class PreviewView(View):
    """What a contract would be invoiced at now; the sums are over its open months.

    Where several contracts share an invoice, its tax is rounded once over all of them.
    """

    contract_id: str
    as_of: datetime
    currency: str
    months: list[PreviewMonthView]
    units: int
    net: MoneyView
    vat: MoneyView
    gross: MoneyView


def period_view(closing: PeriodClosing) -> PeriodView:
    """The view of a month's closing."""
    return PeriodView(
        period=closing.period,
        state=closing.state.value,
        requested_at=closing.requested_at,
        closed_at=closing.closed_at,
    )


def preview_view(
    contract_id: str, currency: Currency, months: Sequence[OpenMonth], as_of: datetime
) -> PreviewView:
    """The view of a contract's open months."""
    return PreviewView(
        contract_id=contract_id,
        as_of=as_of,
        currency=currency,
        months=[_month(month) for month in months],
        units=sum(month.units for month in months),
        **_sums(currency, [month.money for month in months]),
    )


def _month(month: OpenMonth) -> PreviewMonthView:
    prices = month.contract.prices
    return PreviewMonthView(
        period=str(month.period),
        units=month.units,
        lines=[
            PreviewLineView(
                charge=line.charge,
                model=line.model,
                kind=line.kind.value,
                description=describe(prices, line),
                units=line.units,
                amount=money_view(line.amount),
            )
            for line in month.lines
        ],
        **_sums(prices.plan.money, [month.money]),
    )


def _sums(currency: Currency, parts: Sequence[Breakdown]) -> dict[str, MoneyView]:
    def added(amounts: list[Money]) -> MoneyView:
        return money_view(total(amounts, currency))

    return {
        "net": added([part.net for part in parts]),
        "vat": added([part.vat for part in parts]),
        "gross": added([part.gross for part in parts]),
    }
