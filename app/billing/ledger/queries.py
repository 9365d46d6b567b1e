"""Questions to the ledger: balances of accounts, and whether all of them balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col

from app.billing.ledger.accounts import Account, Side, normal_side, signed_balance
from app.billing.ledger.models import LedgerPosting
from app.kernel.money import Currency, Money


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """How an account stands in one currency: the sums of both sides, in minor units."""

    account: Account
    currency: Currency
    debit_minor: int
    credit_minor: int

    @property
    def side(self) -> Side:
        """The side on which the account grows."""
        return normal_side(self.account)

    @property
    def balance(self) -> Money:
        """The balance, positive on the account's own side."""
        minor = signed_balance(self.account, self.debit_minor, self.credit_minor)
        return Money(minor, self.currency)


def account_balances(session: Session, *, starting: str = "") -> Sequence[AccountBalance]:
    """Every account ever posted to whose code begins with `starting`, by code and currency."""
    legs = _legs().subquery()
    rows = session.execute(
        sa.select(
            legs.c.account, legs.c.currency, sa.func.sum(legs.c.debit), sa.func.sum(legs.c.credit)
        )
        .where(legs.c.account.startswith(starting, autoescape=True))
        .group_by(legs.c.account, legs.c.currency)
        .order_by(legs.c.account, legs.c.currency)
    )
    return [
        AccountBalance(Account(account), Currency(currency), int(debit), int(credit))
        for account, currency, debit, credit in rows
    ]


def balance_of(session: Session, account: Account, currency: Currency) -> Money:
    """The balance of one account, positive on its own side."""
    debit_minor = _sum(session, col(LedgerPosting.debit_account) == account, currency)
    credit_minor = _sum(session, col(LedgerPosting.credit_account) == account, currency)
    return Money(signed_balance(account, debit_minor, credit_minor), currency)


def _legs() -> sa.CompoundSelect[tuple[str, str, int, int]]:
    """Each posting twice: once for each account it touches."""
    amount, nothing = col(LedgerPosting.amount_minor), sa.literal(0)
    return sa.union_all(
        sa.select(
            col(LedgerPosting.debit_account).label("account"),
            col(LedgerPosting.currency).label("currency"),
            amount.label("debit"),
            nothing.label("credit"),
        ),
        sa.select(col(LedgerPosting.credit_account), col(LedgerPosting.currency), nothing, amount),
    )


def _sum(session: Session, where: sa.ColumnElement[bool], currency: Currency) -> int:
    found = session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(LedgerPosting.amount_minor), 0)).where(
            where, col(LedgerPosting.currency) == currency
        )
    )
    return int(found or 0)
