"""Checking: whether billing's rows keep B1 and B2. Read-only; each problem names its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from app.billing.checking_lines import line_problems, range_problems, uninvoiced_problems
from app.billing.invoices.contents import content_hash
from app.billing.invoices.issuing import lines_of, sale_of
from app.billing.invoices.models import Invoice
from app.billing.invoices.states import OPEN, InvoiceState
from app.billing.ledger.accounts import UnknownAccount
from app.billing.ledger.models import LedgerPosting, LedgerTransfer
from app.billing.ledger.queries import account_balances
from app.billing.ledger.triggers import LEDGER_TRIGGERS
from app.billing.payments.models import Payment
from app.billing.payments.states import PaymentState
from app.billing.payouts.models import Payout
from app.billing.payouts.states import PayoutState

Row = TypeVar("Row", Invoice, Payment, Payout)
Balances = dict[tuple[str, str], int]
"""Signed minor units by account and currency."""

BATCH = 500
ISSUED = select(Invoice).where(Invoice.state != InvoiceState.DRAFT).order_by(col(Invoice.id))
OWED = OPEN | {InvoiceState.UNCOLLECTIBLE}


def problems(session: Session, usage: sa.Connection) -> Iterator[str]:
    """Every row that breaks B1 or B2, as one line of text each."""
    yield from _guard_problems(session)
    yield from _empty_transfers(session)
    yield from _balance_problems(session)
    yield from _invoice_problems(session)
    yield from line_problems(session)
    yield from range_problems(session, usage)
    yield from uninvoiced_problems(session, usage)


def _guard_problems(session: Session) -> Iterator[str]:
    """The triggers that keep posted rows from being changed are there, and are on."""
    connection = session.connection()
    dialect = connection.dialect.name
    standing = set(connection.execute(sa.text(_TRIGGERS[dialect])).scalars())
    for statement in LEDGER_TRIGGERS[dialect]:
        _create, what, name, *_rest = statement.split()
        if what == "TRIGGER" and name not in standing:
            yield f"B1: posted rows can be changed, since the trigger {name} is gone"


_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A')",
}


def _empty_transfers(session: Session) -> Iterator[str]:
    posted = select(LedgerPosting.transfer_id)
    empty = select(LedgerTransfer.id).where(col(LedgerTransfer.id).not_in(posted))
    for transfer_id in session.exec(empty.order_by(col(LedgerTransfer.id))):
        yield f"B1: {transfer_id} has no postings"


def _balance_problems(session: Session) -> Iterator[str]:
    """Receivables, clearing and payables are what invoices, payments and payouts say."""
    try:
        booked: Balances = {
            (found.account, found.currency): found.balance.minor
            for found in account_balances(session)
        }
    except UnknownAccount as error:
        yield f"B1: {error}"
        return
    wanted = _wanted(session)
    for key in sorted(set(booked) | set(wanted)):
        account, currency = key
        if booked.get(key, 0) != wanted.get(key, 0):
            yield (
                f"B1: {account} stands at {booked.get(key, 0)} {currency}, "
                f"but its rows say {wanted.get(key, 0)}"
            )


def _some_at_a_time(statement: SelectOfScalar[Row]) -> SelectOfScalar[Row]:
    """The same, whose rows do not all lie in memory."""
    return statement.execution_options(yield_per=BATCH)


def _wanted(session: Session) -> Balances:
    """Every balance as the rows of invoices, payments and payouts make it."""
    wanted: Balances = defaultdict(int)
    for invoice in session.exec(_some_at_a_time(ISSUED)):
        if invoice.state is InvoiceState.VOID:
            continue
        sale, currency = sale_of(invoice), invoice.currency
        ready = sale.part_of(invoice.money(invoice.paid_minor)).minor
        payable = f"payable:{invoice.provider_id}"
        if invoice.state in OWED:
            wanted[f"receivable:{invoice.buyer_id}", currency] += invoice.owed.minor
        wanted[f"{payable}:pending", currency] += sale.provider_part.minor - ready
        wanted[f"{payable}:available", currency] += ready
        wanted["alliance:fees", currency] += invoice.fee_minor
    settled = select(Payment).where(Payment.state == PaymentState.SUCCEEDED)
    for payment in session.exec(_some_at_a_time(settled)):
        fee = payment.fee_minor or 0
        clearing = f"processor:{payment.method}:clearing"
        wanted[clearing, payment.currency] += payment.amount_minor - fee
        wanted["processor:fees", payment.currency] += fee
    sent = select(Payout).where(Payout.state == PayoutState.PAID)
    for payout in session.exec(_some_at_a_time(sent)):
        wanted[f"payable:{payout.provider_id}:available", payout.currency] -= payout.amount_minor
        wanted["processor:stripe:clearing", payout.currency] -= payout.amount_minor
    return wanted


def _invoice_problems(session: Session) -> Iterator[str]:
    for invoice in session.exec(_some_at_a_time(ISSUED)):
        if content_hash(invoice, lines_of(session, invoice.id)) != invoice.content_sha256:
            yield f"B2: {invoice.id} does not say what it said when it was issued"
    paid = dict(
        session.exec(
            select(Payment.invoice_id, func.sum(Payment.amount_minor))
            .where(Payment.state == PaymentState.SUCCEEDED)
            .group_by(Payment.invoice_id)
        ).all()
    )
    for invoice in session.exec(_some_at_a_time(ISSUED)):
        if invoice.paid_minor != int(paid.get(invoice.id, 0)):
            yield f"B1: {invoice.id} is not paid as its payments say"
    yield from _number_problems(session)


def _number_problems(session: Session) -> Iterator[str]:
    counted = session.exec(
        select(
            Invoice.provider_id,
            Invoice.number_year,
            func.count(),
            func.max(Invoice.number_seq),
        )
        .where(col(Invoice.number).is_not(None))
        .group_by(col(Invoice.provider_id), col(Invoice.number_year))
        .order_by(col(Invoice.provider_id), col(Invoice.number_year))
    )
    for provider_id, year, count, last in counted:
        if count != last:
            yield f"B2: the invoices of {provider_id} in {year} have a gap before number {last}"
