"""Rows: the accounts that providers are paid to, and the payouts themselves."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.billing.payouts.states import PayoutState
from app.db.columns import (
    IdText,
    bool_field,
    enum_field,
    foreign_id_field,
    id_field,
    int_field,
    long_text_field,
    moment_field,
    text_field,
)
from app.kernel.money import Money, currency_of

REFERENCE_CHARS = 255


class PayoutAccount(SQLModel, table=True):
    """A provider's connected account at the processor; its row is the lock of its payouts.

    `links` counts the onboarding links that were asked for; `url` is the newest, for one visit.
    """

    __tablename__ = "payout_account"
    __table_args__ = (sa.CheckConstraint("NOT may_receive OR account IS NOT NULL", name="ready"),)

    organisation_id: str = Field(sa_column=sa.Column(IdText, primary_key=True))
    account: str | None = text_field(REFERENCE_CHARS, nullable=True, unique=True)
    may_receive: bool = bool_field()
    pays_out: bool = bool_field()
    details_submitted: bool = bool_field()
    links: int = int_field()
    url: str | None = long_text_field(nullable=True)
    url_expires_at: datetime | None = moment_field(nullable=True)
    requested_at: datetime = moment_field()
    checked_at: datetime | None = moment_field(nullable=True)


class Payout(SQLModel, table=True):
    """The provider's share of one payment on its way to the provider."""

    __tablename__ = "payout"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("attempt >= 1", name="attempt"),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid"),
        sa.Index("ix_payout_state_due_at", "state", "due_at"),
    )

    id: str = id_field()
    # One payout for each payment, held by the constraint.
    payment_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("payment.id"), nullable=False, unique=True)
    )
    invoice_id: str = foreign_id_field()
    provider_id: str = foreign_id_field()
    buyer_id: str = foreign_id_field(index=False)
    amount_minor: int = int_field()
    currency: str = text_field(3)
    state: PayoutState = enum_field(PayoutState)
    created_at: datetime = moment_field()
    due_at: datetime = moment_field()
    attempt: int = int_field()
    sending_at: datetime | None = moment_field(nullable=True)
    transfer: str | None = text_field(REFERENCE_CHARS, nullable=True, unique=True)
    paid_at: datetime | None = moment_field(nullable=True)
    # When an admin let it go although the buyer's money is disputed or refunded.
    released_at: datetime | None = moment_field(nullable=True)
    failure: str | None = text_field(500, nullable=True)

    @property
    def amount(self) -> Money:
        """What the provider gets."""
        return Money(self.amount_minor, currency_of(self.currency))
