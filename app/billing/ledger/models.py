"""Rows of the ledger: transfers and their postings. Never updated, never deleted."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.billing.ledger.posting_rules import PostingKind
from app.db.columns import (
    IdText,
    enum_field,
    id_field,
    int_field,
    json_field,
    moment_field,
    text_field,
)

ACCOUNT_CHARS = 80
CAUSE_CHARS = 100


class TransferKind(StrEnum):
    """What kind of event moved the money."""

    INVOICE_ISSUED = "invoice_issued"
    PAYMENT_RECEIVED = "payment_received"
    PROCESSOR_FEE = "processor_fee"
    PAYOUT_SENT = "payout_sent"
    REFUND_CREDITED = "refund_credited"
    REFUND_SENT = "refund_sent"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    BANK_RECEIVED = "bank_received"
    BANK_MATCHED = "bank_matched"


class LedgerTransfer(SQLModel, table=True):
    """A set of postings that one cause made; `facts` names what it has to do with."""

    __tablename__ = "ledger_transfer"

    id: str = id_field()
    cause: str = text_field(CAUSE_CHARS, unique=True)
    kind: TransferKind = enum_field(TransferKind)
    posted_at: datetime = moment_field()
    facts: dict[str, Any] = json_field()


class LedgerPosting(SQLModel, table=True):
    """One leg of a transfer: `amount_minor` from the credited to the debited account."""

    __tablename__ = "ledger_posting"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("debit_account <> credit_account", name="two_accounts"),
        sa.CheckConstraint("position >= 0", name="position"),
        sa.Index("ix_ledger_posting_debit_account_currency", "debit_account", "currency"),
        sa.Index("ix_ledger_posting_credit_account_currency", "credit_account", "currency"),
    )

    transfer_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("ledger_transfer.id"), primary_key=True)
    )
    position: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    debit_account: str = text_field(ACCOUNT_CHARS)
    credit_account: str = text_field(ACCOUNT_CHARS)
    amount_minor: int = int_field()
    currency: str = text_field(3)
    kind: PostingKind = enum_field(PostingKind)
