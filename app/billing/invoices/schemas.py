"""Shapes of invoices in the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.billing.invoices.models import Invoice, InvoiceLine
from app.http.examples import example_id, looks_like
from app.http.schemas import MoneyView, View, money_view
from app.kernel.money import Money, currency_of


@looks_like(id=example_id("org"), credit_code="91350100M000100Y43")
class PartyView(View):
    """A side of the invoice, by its registered name and 统一社会信用代码."""

    id: str
    name: str
    credit_code: str


@looks_like(rate="0.06", vat={"amount_minor": 75, "currency": "CNY"})
class TaxView(View):
    """The VAT on the sum of the lines of one rate."""

    rate: str
    net: MoneyView
    vat: MoneyView


@looks_like(
    id=example_id("lin"),
    charge=0,
    kind="usage",
    description="世界各国国内生产总值 · standard · 用量, 1,000 × call",
    first_number=1,
    last_number=1000,
    tiers=[],
    vat_rate="0.06",
    late_for=None,
)
class LineView(View):
    """What one charge of one contract comes to, and the usage events that it counts.

    Of `kind` late or credit, it is about use of the earlier month `late_for`, reported or corrected
    after that month was closed, and its amount is the difference that it makes to that month.
    """

    id: str
    contract_id: str
    grant_id: str
    listing_id: str
    plan_id: str
    terms_sha256: str
    charge: int
    model: str
    kind: str
    description: str
    meter: str
    units: int
    first_number: int | None
    last_number: int | None
    tiers: list[dict[str, Any]]
    amount: MoneyView
    vat_rate: str
    late_for: str | None


@looks_like(
    id=example_id("inv"),
    number="2026-000001",
    state="issued",
    buyer={
        "id": example_id("org", 2),
        "name": "示例买方有限公司",
        "credit_code": "91350100M000100Y43",
    },
    vat={"amount_minor": 75, "currency": "CNY"},
    gross={"amount_minor": 1325, "currency": "CNY"},
    paid={"amount_minor": 0, "currency": "CNY"},
    owed={"amount_minor": 1325, "currency": "CNY"},
    fee={"amount_minor": 94, "currency": "CNY"},
    provider_share={"amount_minor": 1231, "currency": "CNY"},
    issued_at="2026-12-01T01:00:00Z",
    due_at="2026-12-31T01:00:00Z",
)
class InvoiceSummary(View):
    """An invoice without its lines. `contract_id` is null when it covers the month of a pair."""

    id: str
    number: str | None
    state: str
    period: str
    contract_id: str | None
    provider: PartyView
    buyer: PartyView
    net: MoneyView
    vat: MoneyView
    gross: MoneyView
    paid: MoneyView
    owed: MoneyView
    fee: MoneyView
    provider_share: MoneyView
    taxes: list[TaxView]
    issued_at: datetime | None
    due_at: datetime | None
    paid_at: datetime | None
    content_sha256: str | None


class InvoiceView(InvoiceSummary):
    """An invoice with its lines."""

    lines: list[LineView]


def invoice_summary(invoice: Invoice) -> InvoiceSummary:
    """The view of an invoice without its lines."""
    return InvoiceSummary(**_facts(invoice))


def invoice_view(invoice: Invoice, lines: Sequence[InvoiceLine]) -> InvoiceView:
    """The view of an invoice with its lines."""
    return InvoiceView(**_facts(invoice), lines=[_line(line) for line in lines])


def _facts(invoice: Invoice) -> dict[str, Any]:
    def money(minor: int) -> MoneyView:
        return money_view(invoice.money(minor))

    return {
        "id": invoice.id,
        "number": invoice.number,
        "state": invoice.state.value,
        "period": invoice.period,
        "contract_id": invoice.scope or None,
        "provider": PartyView(**invoice.parties["provider"]),
        "buyer": PartyView(**invoice.parties["buyer"]),
        "net": money(invoice.net_minor),
        "vat": money(invoice.vat_minor),
        "gross": money(invoice.gross_minor),
        "paid": money(invoice.paid_minor),
        "owed": money_view(invoice.owed),
        "fee": money(invoice.fee_minor),
        "provider_share": money(invoice.gross_minor - invoice.fee_minor),
        "taxes": [
            TaxView(rate=tax["rate"], net=money(tax["net_minor"]), vat=money(tax["vat_minor"]))
            for tax in invoice.taxes
        ],
        "issued_at": invoice.issued_at,
        "due_at": invoice.due_at,
        "paid_at": invoice.paid_at,
        "content_sha256": invoice.content_sha256,
    }


def _line(line: InvoiceLine) -> LineView:
    return LineView(
        id=line.id,
        contract_id=line.contract_id,
        grant_id=line.grant_id,
        listing_id=line.listing_id,
        plan_id=line.plan_id,
        terms_sha256=line.terms_sha256,
        charge=line.charge,
        model=line.model,
        kind=line.kind,
        description=line.description,
        meter=line.meter,
        units=line.units,
        first_number=line.first_number,
        last_number=line.last_number,
        tiers=line.tiers,
        amount=money_view(Money(line.amount_minor, currency_of(line.currency))),
        vat_rate=line.vat_rate,
        late_for=line.late_for,
    )
