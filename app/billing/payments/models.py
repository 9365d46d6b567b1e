"""Rows: payments, buyers as the processor knows them, and the inbox of webhooks."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.billing.payments.states import PaymentState
from app.db.columns import (
    IdText,
    enum_field,
    foreign_id_field,
    id_field,
    int_field,
    long_text_field,
    moment_field,
    ref_field,
    text_field,
)
from app.kernel.money import Money, currency_of

REFERENCE_CHARS = 255
METHOD_CHARS = 20
OPEN_STATES = "state IN ('pending', 'pending_unknown', 'mismatch')"


class Payment(SQLModel, table=True):
    """A buyer's attempt to pay an invoice, or a part of it; one at a time.

    What the processor calls it stands beside: checkout session, payment intent, charge.
    """

    __tablename__ = "payment"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("fee_minor >= 0", name="fee"),
        sa.CheckConstraint("attempt >= 1", name="attempt"),
        sa.CheckConstraint("state <> 'succeeded' OR settled_at IS NOT NULL", name="settled"),
        sa.Index(
            "uq_payment_open_invoice_id",
            "invoice_id",
            unique=True,
            sqlite_where=sa.text(OPEN_STATES),
            postgresql_where=sa.text(OPEN_STATES),
        ),
    )

    id: str = id_field()
    invoice_id: str = ref_field("invoice.id")
    buyer_id: str = foreign_id_field()
    provider_id: str = foreign_id_field()
    amount_minor: int = int_field()
    currency: str = text_field(3)
    method: str = text_field(METHOD_CHARS)
    state: PaymentState = enum_field(PaymentState)
    created_at: datetime = moment_field()
    settled_at: datetime | None = moment_field(nullable=True)
    attempt: int = int_field()
    checkout_session: str | None = text_field(REFERENCE_CHARS, nullable=True, unique=True)
    checkout_url: str | None = long_text_field(nullable=True)
    checkout_expires_at: datetime | None = moment_field(nullable=True)
    payment_intent: str | None = text_field(REFERENCE_CHARS, nullable=True, unique=True)
    charge: str | None = text_field(REFERENCE_CHARS, nullable=True, unique=True)
    fee_minor: int | None = int_field(nullable=True)
    failure: str | None = text_field(500, nullable=True)

    @property
    def amount(self) -> Money:
        """What is to be paid."""
        return Money(self.amount_minor, currency_of(self.currency))


class ProcessorCustomer(SQLModel, table=True):
    """A buyer's id at the processor."""

    __tablename__ = "processor_customer"

    organisation_id: str = Field(sa_column=sa.Column(IdText, primary_key=True))
    customer: str = text_field(REFERENCE_CHARS, unique=True)


class WebhookReceived(SQLModel, table=True):
    """An event that the processor has sent, once, however often it was delivered.

    Only what it is about is kept: the newest state is looked up. `payment_id` is what its metadata
    say, and may name none of ours.
    """

    __tablename__ = "webhook_received"

    id: str = Field(sa_column=sa.Column(sa.String(REFERENCE_CHARS), primary_key=True))
    kind: str = text_field(REFERENCE_CHARS)
    account: str | None = text_field(REFERENCE_CHARS, nullable=True)
    subject_id: str | None = text_field(REFERENCE_CHARS, nullable=True)
    payment_id: str | None = text_field(REFERENCE_CHARS, nullable=True)
    payment_intent: str | None = text_field(REFERENCE_CHARS, nullable=True)
    created_at: datetime = moment_field()
    received_at: datetime = moment_field()
    handled_at: datetime | None = moment_field(nullable=True)
    outcome: str | None = text_field(40, nullable=True)
