"""Shapes of the ledger in the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from app.billing.ledger.accounts import Side
from app.billing.ledger.models import LedgerTransfer
from app.billing.ledger.posting_rules import Posting
from app.billing.ledger.queries import AccountBalance
from app.http.examples import example_id, looks_like
from app.http.schemas import MoneyView, View, money_view
from app.kernel.money import Currency, Money, total


@looks_like(account="receivable:" + example_id("org", 2), side="debit")
class AccountView(View):
    """An account in one currency; `balance` is positive on its own side."""

    account: str
    currency: str
    side: str
    debits: MoneyView
    credits: MoneyView
    balance: MoneyView


@looks_like(
    debit_account="receivable:" + example_id("org", 2),
    credit_account="payable:" + example_id("org") + ":pending",
    kind="net",
)
class PostingView(View):
    """One leg of a transfer."""

    debit_account: str
    credit_account: str
    amount: MoneyView
    kind: str


@looks_like(
    id=example_id("trf"), cause=example_id("inv") + ":issued", kind="invoice_issued", facts={}
)
class TransferView(View):
    """A transfer: what caused it, and its legs. It is never changed."""

    id: str
    cause: str
    kind: str
    posted_at: datetime
    facts: dict[str, Any]
    postings: list[PostingView]


class TotalView(View):
    """The sums of all balances in one currency: those of debit and those of credit accounts."""

    currency: str
    debit_balances: MoneyView
    credit_balances: MoneyView
    balanced: bool


class TrialBalanceView(View):
    """Every account, and whether the books balance."""

    accounts: list[AccountView]
    totals: list[TotalView]
    balanced: bool


def account_view(found: AccountBalance) -> AccountView:
    """The view of an account's balance."""
    return AccountView(
        account=found.account,
        currency=found.currency,
        side=found.side.value,
        debits=money_view(Money(found.debit_minor, found.currency)),
        credits=money_view(Money(found.credit_minor, found.currency)),
        balance=money_view(found.balance),
    )


def transfer_view(transfer: LedgerTransfer, postings: Sequence[Posting]) -> TransferView:
    """The view of a transfer with its legs."""
    return TransferView(
        id=transfer.id,
        cause=transfer.cause,
        kind=transfer.kind.value,
        posted_at=transfer.posted_at,
        facts=transfer.facts,
        postings=[
            PostingView(
                debit_account=posting.debit,
                credit_account=posting.credit,
                amount=money_view(posting.amount),
                kind=posting.kind.value,
            )
            for posting in postings
        ],
    )


def trial_balance_view(balances: Sequence[AccountBalance]) -> TrialBalanceView:
    """The view of all accounts with their sums."""
    totals = [
        _total(currency, [found for found in balances if found.currency == currency])
        for currency in sorted({found.currency for found in balances})
    ]
    return TrialBalanceView(
        accounts=[account_view(found) for found in balances],
        totals=totals,
        balanced=all(one.balanced for one in totals),
    )


def _total(currency: Currency, balances: Iterable[AccountBalance]) -> TotalView:
    by_side: dict[Side, list[Money]] = {Side.DEBIT: [], Side.CREDIT: []}
    for found in balances:
        by_side[found.side].append(found.balance)
    debit, credit = (total(by_side[side], currency) for side in (Side.DEBIT, Side.CREDIT))
    return TotalView(
        currency=currency,
        debit_balances=money_view(debit),
        credit_balances=money_view(credit),
        balanced=debit == credit,
    )
