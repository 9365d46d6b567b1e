"""Posting: a transfer is written once for its cause, and never again."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from app.audit.recording import record
from app.billing.ledger.accounts import Account, normal_side
from app.billing.ledger.models import LedgerPosting, LedgerTransfer, TransferKind
from app.billing.ledger.posting_rules import Posting, Postings
from app.db.engine import is_sqlite
from app.db.session import now
from app.kernel.ids import TransferId, new_id
from app.kernel.money import Money, currency_of


def post(
    session: Session, cause: str, kind: TransferKind, postings: Postings, **facts: Any
) -> TransferId:
    """Write the transfer that `cause` makes, or find it: a repeat posts nothing.

    `cause` is the id that caused it and what happened to it (`inv_…:issued`). Other postings under
    a known cause are a bug, and so is a transfer of nothing.
    """
    assert postings, f"{cause} moves no money"
    transfer_id = new_id("trf")
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    written = session.execute(
        insert(LedgerTransfer)
        .values(id=transfer_id, cause=cause, kind=kind, posted_at=now(session), facts=facts)
        .on_conflict_do_nothing(index_elements=["cause"])
        .returning(col(LedgerTransfer.id))
    ).scalar_one_or_none()
    if written is None:
        return _earlier(session, cause, postings)
    session.add_all(_row(transfer_id, at, posting) for at, posting in enumerate(postings))
    session.flush()
    record(
        session,
        "transfer:posted",
        transfer_id,
        cause=cause,
        transfer_kind=kind.value,
        postings=[told_posting(posting) for posting in postings],
    )
    return TransferId(transfer_id)


def told_posting(posting: Posting) -> dict[str, Any]:
    """A posting as the audit leaf of its transfer tells it."""
    return {
        "debit": posting.debit,
        "credit": posting.credit,
        "amount_minor": posting.amount.minor,
        "currency": posting.amount.currency,
        "kind": posting.kind.value,
    }


def postings_of(session: Session, transfer_id: str) -> Postings:
    """The postings of a transfer, in their order."""
    rows = session.exec(
        select(LedgerPosting)
        .where(LedgerPosting.transfer_id == transfer_id)
        .order_by(col(LedgerPosting.position))
    )
    return tuple(posting_of(row) for row in rows)


def posting_of(row: LedgerPosting) -> Posting:
    """The value in a row."""
    amount = Money(row.amount_minor, currency_of(row.currency))
    return Posting(Account(row.debit_account), Account(row.credit_account), amount, row.kind)


def _earlier(session: Session, cause: str, postings: Postings) -> TransferId:
    transfer_id = session.exec(select(LedgerTransfer.id).where(LedgerTransfer.cause == cause)).one()
    earlier = postings_of(session, transfer_id)
    assert earlier == tuple(postings), f"{cause} was posted before, otherwise"
    return TransferId(transfer_id)


def _row(transfer_id: str, position: int, posting: Posting) -> LedgerPosting:
    for account in (posting.debit, posting.credit):
        normal_side(account)
    return LedgerPosting(
        transfer_id=transfer_id,
        position=position,
        debit_account=posting.debit,
        credit_account=posting.credit,
        amount_minor=posting.amount.minor,
        currency=posting.amount.currency,
        kind=posting.kind,
    )
