"""Checking lines and ranges (B2): each event on one line, each line at its signed price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from app.billing.billed import load_contracts
from app.billing.fees import RatedAmount, break_down
from app.billing.invoices.issuing import lines_of
from app.billing.invoices.late import LateBook, late_uses
from app.billing.invoices.lines import LineKind, SignedPrices, charge_lines
from app.billing.invoices.models import Invoice, InvoicedRange, InvoiceLine
from app.billing.invoices.months import BilledContract
from app.billing.invoices.states import InvoiceState
from app.billing.models import ClosingState, PeriodClosing
from app.billing.periods import parse_period
from app.kernel.clock import epoch_us
from app.kernel.money import currency_of
from app.metering.history.closing import closed_to, last_numbers_before, units_between
from app.metering.reported.late_use import late_units

AT_ONCE = 200


def line_problems(session: Session) -> Iterator[str]:
    """Invoices whose share, fee and tax are not what their lines make them."""
    issued = select(Invoice).where(Invoice.state != InvoiceState.DRAFT).order_by(col(Invoice.id))
    for invoice in session.exec(issued.execution_options(yield_per=AT_ONCE)):
        currency = currency_of(invoice.currency)
        amounts = [_rated(line, invoice) for line in lines_of(session, invoice.id)]
        money = break_down(amounts, currency)
        seen = (invoice.net_minor, invoice.vat_minor, invoice.fee_minor, invoice.gross_minor)
        if seen != (money.net.minor, money.vat.minor, money.fee.minor, money.gross.minor):
            yield f"B2: {invoice.id} does not add up to its lines"


def range_problems(session: Session, usage: sa.Connection) -> Iterator[str]:
    """Ranges that do not meet, events on no line, and lines at another price than was signed."""
    ranges = session.exec(
        select(InvoicedRange).order_by(col(InvoicedRange.grant_id), col(InvoicedRange.period))
    ).all()
    by_grant = {key: list(rows) for key, rows in groupby(ranges, key=lambda row: row.grant_id)}
    contract_ids = sorted({row.contract_id for row in ranges})
    contracts: dict[str, BilledContract] = {}
    for start in range(0, len(contract_ids), AT_ONCE):
        for found in load_contracts(session, contract_ids[start : start + AT_ONCE]):
            contracts[found.contract.grant_id] = found.contract
    yield from _lines_without_range(session)
    for grant_id, rows in by_grant.items():
        yield from _events_missing(usage, grant_id, rows)
        if grant_id not in contracts:
            yield f"B2: {grant_id} is invoiced, but has no contract"
            continue
        yield from _wrongly_priced(session, contracts[grant_id], rows)
        yield from _foreign_terms(usage, contracts[grant_id], rows)


def _lines_without_range(session: Session) -> Iterator[str]:
    """Lines of a grant of which no month was closed at all; the others are seen by grant."""
    ranged = select(InvoicedRange.grant_id)
    lines = select(InvoiceLine.id, InvoiceLine.grant_id).where(
        col(InvoiceLine.grant_id).not_in(ranged)
    )
    for line_id, grant_id in session.exec(lines.order_by(col(InvoiceLine.id))):
        yield f"B2: line {line_id} is for events of {grant_id}, of which no month was closed"


def uninvoiced_problems(session: Session, usage: sa.Connection) -> Iterator[str]:
    """Events of a month that is closed for everybody, which no range covers."""
    closed = session.exec(
        select(PeriodClosing.period).where(PeriodClosing.state == ClosingState.CLOSED)
    ).all()
    if not closed:
        return
    until = parse_period(max(closed))
    reached = dict(
        session.exec(
            select(InvoicedRange.grant_id, func.max(InvoicedRange.last_number)).group_by(
                col(InvoicedRange.grant_id)
            )
        ).all()
    )
    for grant_id, last in last_numbers_before(usage, epoch_us(until.ends_at)):
        if last > reached.get(grant_id, 0):
            yield (
                f"B2: {grant_id} was used to number {last} by the end of {until}, "
                f"but is invoiced to {reached.get(grant_id, 0)}"
            )


def _events_missing(
    usage: sa.Connection, grant_id: str, rows: Sequence[InvoicedRange]
) -> Iterator[str]:
    """Contiguous from 1, with the units that the store of use says, up to its last closed month."""
    reached = 0
    for row in rows:
        name = f"{grant_id} in {row.period}"
        if row.last_number >= row.first_number:
            if row.first_number != reached + 1:
                yield f"B2: {name} begins at {row.first_number}, not at {reached + 1}"
            reached = row.last_number
        parts = units_between(usage, grant_id, row.first_number, row.last_number)
        starts_at_us = epoch_us(parse_period(row.period).starts_at)
        late = late_units(usage, grant_id, row.first_number, row.last_number, starts_at_us)
        noted = {use.late_for: use.units for use in late_uses(row.late) if use.units}
        if late != noted:
            yield f"B2: {name} was closed with {noted} units of earlier months, it has {late}"
        if (units := sum(part.units for part in parts) - sum(late.values())) != row.units:
            yield f"B2: {name} was closed with {row.units} units, its events have {units}"
        if (granted := sum(part.granted_units for part in parts)) != row.granted_units:
            yield (
                f"B2: {name} was closed with {row.granted_units} granted units, "
                f"its events have {granted}"
            )
    if (last := closed_to(usage, grant_id)) < reached:
        yield f"B2: {grant_id} is invoiced to {reached}, but closed to {last}"


def _wrongly_priced(
    session: Session, contract: BilledContract, rows: Sequence[InvoicedRange]
) -> Iterator[str]:
    lines: dict[str, list[InvoiceLine]] = defaultdict(list)
    statement = select(InvoiceLine).where(InvoiceLine.grant_id == contract.grant_id)
    for line in session.exec(statement.order_by(col(InvoiceLine.position))):
        lines[line.invoice_id].append(line)
    book = LateBook(contract)
    for row in rows:
        carried = book.carried + row.units - row.rated_units
        if carried > 0:
            yield f"B2: {row.grant_id} in {row.period} has {carried} units on no line"
        on_invoice = lines.pop(row.invoice_id, []) if row.invoice_id else []
        first = row.period == str(contract.first_period)
        on_time = [line for line in on_invoice if line.late_for is None]
        late = [line for line in on_invoice if line.late_for is not None]
        if not _is_rated(contract.prices, row, on_time, first=first):
            yield f"B2: {row.grant_id} in {row.period} is not priced as was signed"
        if not _is_late_rated(book, row, on_time, late):
            yield f"B2: late use of {row.grant_id} in {row.period} is not priced as was signed"
        book.note(row.period, row.units, row.rated_units, late_uses(row.late))
    for invoice_id in sorted(lines):
        yield f"B2: {invoice_id} has lines of {contract.grant_id} for no closed month"


def _is_rated(
    prices: SignedPrices, row: InvoicedRange, lines: Sequence[InvoiceLine], *, first: bool
) -> bool:
    """Whether the lines are those that rating the units again makes.

    A month after a contract's end has no minimum: one that is absent is right there.
    """
    wanted = [
        (line.charge, line.kind.value, line.units, line.amount.minor)
        for line in charge_lines(prices.plan, row.rated_units, row.granted_units, first=first)
    ]
    seen = [(line.charge, line.kind, line.units, line.amount_minor) for line in lines]
    usage_only = [entry for entry in wanted if entry[1] != LineKind.MINIMUM.value]
    if seen not in (wanted, usage_only):
        return False
    rates = (str(prices.vat_rate), str(prices.fee_rate))
    if any((line.vat_rate, line.fee_rate) != rates for line in lines):
        return False
    return all(_is_of_range(line, row) for line in lines)


def _is_late_rated(
    book: LateBook, row: InvoicedRange, on_time: Sequence[InvoiceLine], late: Sequence[InvoiceLine]
) -> bool:
    """Whether the late use is priced as it is on top of what its months came to before."""
    noted = late_uses(row.late)
    room_minor = sum(line.amount_minor for line in on_time)
    again = book.price({use.late_for: use.units for use in noted}, room_minor)
    wanted = [
        (line.late_for, line.charge, line.kind.value, line.units, line.amount.minor)
        for one in again
        for line in one.lines
    ]
    seen = [(line.late_for, line.charge, line.kind, line.units, line.amount_minor) for line in late]
    as_noted = [one.use for one in again] == noted
    return as_noted and seen == wanted and all(_is_of_range(line, row) for line in late)


def _is_of_range(line: InvoiceLine, row: InvoicedRange) -> bool:
    """A line that counts units names the events that they are of."""
    numbers = (line.first_number, line.last_number)
    return not line.units or numbers == (row.first_number, row.last_number)


def _foreign_terms(
    usage: sa.Connection, contract: BilledContract, rows: Sequence[InvoicedRange]
) -> Iterator[str]:
    """Each unit is priced by the terms that it was settled under."""
    for row in rows:
        for part in units_between(usage, row.grant_id, row.first_number, row.last_number):
            if part.terms_sha256 != contract.terms_sha256:
                yield f"B2: {row.grant_id} in {row.period} has units of other terms"


def _rated(line: InvoiceLine, invoice: Invoice) -> RatedAmount:
    return RatedAmount(
        invoice.money(line.amount_minor), Decimal(line.vat_rate), Decimal(line.fee_rate)
    )
