"""Drawing: closed months of contracts become an invoice, once.

All of it is one transaction under the lock of the issuer's series: two runs at a time, or one that
was killed and runs again, draw one invoice.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from app.billing.fees import break_down
from app.billing.invoices.issuing import issue_invoice, lock_series
from app.billing.invoices.late import LateBook, LateUse, late_uses
from app.billing.invoices.lines import (
    ChargeLine,
    LineKind,
    carry_over,
    charge_lines,
    describe,
    rated_amounts,
)
from app.billing.invoices.models import Invoice, InvoicedRange, InvoiceLine
from app.billing.invoices.months import BilledContract, ContractMonth
from app.billing.invoices.states import InvoiceState
from app.db.session import now
from app.kernel.ids import InvoiceId, new_id
from app.kernel.money import currency_of

MonthLines = tuple[ContractMonth, int, Sequence[LateUse], Sequence[ChargeLine]]
"""A month, its units that are priced, the late use of others in it, and its lines."""


def draw_invoices(
    session: Session, months: Sequence[ContractMonth], *, final: bool = False
) -> list[InvoiceId]:
    """Put one month of a buyer's contracts with a provider on an invoice; the ids of what is new.

    Months that were drawn before are passed over; one without any line gets no invoice. A `final`
    invoice is a contract's own, and so is one for a month whose invoice is already out.
    """
    assert len({(month.contract.pair, month.period) for month in months}) == 1
    lock_series(session, months[0].contract.provider_id)
    fresh = [month for month in months if not _is_drawn(session, month)]
    if not fresh:
        return []
    if final or _month_is_out(session, fresh[0]):
        drawn = [_draw(session, [month], month.contract.contract_id) for month in fresh]
    else:
        drawn = [_draw(session, fresh, "")]
    return [invoice_id for invoice_id in drawn if invoice_id is not None]


def _draw(session: Session, months: Sequence[ContractMonth], scope: str) -> InvoiceId | None:
    priced = [_price(session, month) for month in months]
    with_lines = [(month, lines) for month, _, _, lines in priced if lines]
    invoice = _add_invoice(session, with_lines, scope) if with_lines else None
    for month, units, late, lines in priced:
        invoice_id = invoice.id if invoice is not None and lines else None
        session.add(_range_row(session, month, units, late, invoice_id))
    session.flush()
    if invoice is None:
        return None
    issue_invoice(session, invoice)
    return InvoiceId(invoice.id)


def late_book(session: Session, contract: BilledContract) -> LateBook:
    """What the contract's months have been priced for on the invoices that are drawn."""
    book = LateBook(contract)
    ranges = session.exec(
        select(InvoicedRange)
        .where(InvoicedRange.grant_id == contract.grant_id)
        .order_by(col(InvoicedRange.period))
    )
    for row in ranges:
        book.note(row.period, row.units, row.rated_units, late_uses(row.late))
    return book


def _price(session: Session, month: ContractMonth) -> MonthLines:
    book = late_book(session, month.contract)
    units, _ = carry_over(book.carried, month.events.units)
    plan, granted = month.contract.prices.plan, month.events.granted_units
    lines = list(charge_lines(plan, units, granted, first=month.is_first))
    if not month.owes_minimum:
        lines = [line for line in lines if line.kind is not LineKind.MINIMUM]
    late = book.price(month.events.late, sum(line.amount.minor for line in lines))
    lines += [line for one in late for line in one.lines]
    return month, units, [one.use for one in late], lines


def _add_invoice(
    session: Session, priced: Sequence[tuple[ContractMonth, Sequence[ChargeLine]]], scope: str
) -> Invoice:
    contract = priced[0][0].contract
    currency = currency_of(contract.prices.plan.currency)
    amounts = [
        amount for month, lines in priced for amount in rated_amounts(month.contract.prices, lines)
    ]
    money = break_down(amounts, currency)
    invoice = Invoice(
        id=new_id("inv"),
        provider_id=contract.provider_id,
        buyer_id=contract.buyer_id,
        currency=currency,
        period=str(priced[0][0].period),
        scope=scope,
        state=InvoiceState.DRAFT,
        parties=dict(contract.parties),
        net_minor=money.net.minor,
        vat_minor=money.vat.minor,
        fee_minor=money.fee.minor,
        gross_minor=money.gross.minor,
        paid_minor=0,
        taxes=[part.document("vat_minor") for part in money.taxes],
        fees=[part.document("fee_minor") for part in money.fees],
    )
    session.add(invoice)
    session.flush()
    places = [(month, line) for month, lines in priced for line in lines]
    session.add_all(
        _line_row(invoice.id, position, month, line)
        for position, (month, line) in enumerate(places)
    )
    session.flush()
    return invoice


def _line_row(
    invoice_id: str, position: int, month: ContractMonth, line: ChargeLine
) -> InvoiceLine:
    contract, prices, events = month.contract, month.contract.prices, month.events
    return InvoiceLine(
        id=new_id("lin"),
        invoice_id=invoice_id,
        position=position,
        contract_id=contract.contract_id,
        grant_id=contract.grant_id,
        listing_id=contract.listing_id,
        plan_id=prices.plan_id,
        terms_sha256=contract.terms_sha256,
        charge=line.charge,
        model=line.model,
        kind=line.kind.value,
        description=describe(prices, line),
        meter=prices.plan.meter.value,
        units=line.units,
        first_number=events.first_number if line.units else None,
        last_number=events.last_number if line.units else None,
        tiers=list(line.tiers),
        amount_minor=line.amount.minor,
        currency=line.amount.currency,
        vat_rate=str(prices.vat_rate),
        fee_rate=str(prices.fee_rate),
        late_for=line.late_for,
    )


def _range_row(
    session: Session,
    month: ContractMonth,
    rated_units: int,
    late: Sequence[LateUse],
    invoice_id: str | None,
) -> InvoicedRange:
    return InvoicedRange(
        grant_id=month.contract.grant_id,
        period=str(month.period),
        contract_id=month.contract.contract_id,
        first_number=month.events.first_number,
        last_number=month.events.last_number,
        units=month.events.units,
        rated_units=rated_units,
        granted_units=month.events.granted_units,
        late=[use.document() for use in late],
        invoice_id=invoice_id,
        closed_at=now(session),
    )


def _is_drawn(session: Session, month: ContractMonth) -> bool:
    key = (month.contract.grant_id, str(month.period))
    return session.get(InvoicedRange, key) is not None


def _month_is_out(session: Session, month: ContractMonth) -> bool:
    provider_id, buyer_id, currency = month.contract.pair
    found = session.exec(
        select(Invoice.id).where(
            Invoice.provider_id == provider_id,
            Invoice.buyer_id == buyer_id,
            Invoice.currency == currency,
            Invoice.period == str(month.period),
            col(Invoice.scope) == "",
        )
    ).first()
    return found is not None
