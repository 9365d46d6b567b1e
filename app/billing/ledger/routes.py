"""The ledger over HTTP, for the alliance's admins and auditors."""

from __future__ import annotations

from collections import defaultdict

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlmodel import Session, col, or_, select

from app.billing.ledger.models import LedgerPosting, LedgerTransfer
from app.billing.ledger.posting import posting_of, postings_of
from app.billing.ledger.posting_rules import Posting
from app.billing.ledger.queries import account_balances
from app.billing.ledger.schemas import (
    AccountView,
    TransferView,
    TrialBalanceView,
    account_view,
    transfer_view,
    trial_balance_view,
)
from app.billing.queries import must_oversee
from app.db.locks import get_or_refuse
from app.http.documented import Documented
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.schemas import Page

TAGS = ["Ledger"]
READ = needs("billing:read", "audit:read")


@get(
    "/api/v1/ledger/accounts",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    opt={"documented": Documented(answer="Accounts with what was posted to each, by code.")},
)
def list_accounts(
    session: NamedDependency[Session], starting: FromQuery[str] = ""
) -> list[AccountView]:
    """Every account that was ever posted to, or those whose code begins with `starting`."""
    must_oversee(session)
    return [account_view(found) for found in account_balances(session, starting=starting)]


@get("/api/v1/ledger/transfers", sync_to_thread=True, guards=[READ], tags=TAGS)
def list_transfers(
    session: NamedDependency[Session],
    account: FromQuery[str | None] = None,
    cause: FromQuery[str | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[TransferView]:
    """Transfers, newest first: all, those of one `account`, or those caused by one id."""
    must_oversee(session)
    statement = select(LedgerTransfer)
    if account is not None:
        touching = select(LedgerPosting.transfer_id).where(
            or_(
                col(LedgerPosting.debit_account) == account,
                col(LedgerPosting.credit_account) == account,
            )
        )
        statement = statement.where(col(LedgerTransfer.id).in_(touching))
    if cause is not None:
        begins = col(LedgerTransfer.cause).startswith(f"{cause}:", autoescape=True)
        statement = statement.where(begins)
    page = page_of(
        session, statement, col(LedgerTransfer.id), lambda row: row, limit=limit, cursor=cursor
    )
    legs = _legs(session, [row.id for row in page.items])
    return Page(
        items=[transfer_view(row, legs[row.id]) for row in page.items],
        next_cursor=page.next_cursor,
    )


@get("/api/v1/ledger/transfers/{transfer_id:str}", sync_to_thread=True, guards=[READ], tags=TAGS)
def show_transfer(session: NamedDependency[Session], transfer_id: FromPath[str]) -> TransferView:
    """One transfer with its legs."""
    must_oversee(session)
    transfer = get_or_refuse(session, LedgerTransfer, transfer_id)
    return transfer_view(transfer, postings_of(session, transfer.id))


@get("/api/v1/ledger/trial-balance", sync_to_thread=True, guards=[READ], tags=TAGS)
def show_trial_balance(session: NamedDependency[Session]) -> TrialBalanceView:
    """Every account's balance, and whether debit and credit balances are equal."""
    must_oversee(session)
    return trial_balance_view(account_balances(session))


def _legs(session: Session, transfer_ids: list[str]) -> dict[str, list[Posting]]:
    legs: dict[str, list[Posting]] = defaultdict(list)
    rows = session.exec(
        select(LedgerPosting)
        .where(col(LedgerPosting.transfer_id).in_(transfer_ids))
        .order_by(col(LedgerPosting.transfer_id), col(LedgerPosting.position))
    )
    for row in rows:
        legs[row.transfer_id].append(posting_of(row))
    return legs


ROUTERS = (list_accounts, list_transfers, show_transfer, show_trial_balance)
