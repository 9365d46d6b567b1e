"""Rows: invoices, their lines, the events they cover, and each issuer's last number."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.billing.invoices.states import InvoiceState
from app.db.columns import (
    IdText,
    enum_field,
    foreign_id_field,
    id_field,
    int_field,
    json_field,
    moment_field,
    ref_field,
    text_field,
)
from app.kernel.money import Money, currency_of

SHA256_CHARS = 64
PERIOD_CHARS = 7
NUMBER_CHARS = 40
RATE_CHARS = 20


class Invoice(SQLModel, table=True):
    """What a buyer owes a provider for a month; frozen when issued, but for what is paid of it.

    `scope` is empty, or the one contract that the invoice is drawn for before or beside the month's
    own. The provider issues it; the alliance is its agent.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        sa.UniqueConstraint("provider_id", "buyer_id", "currency", "period", "scope"),
        sa.UniqueConstraint("provider_id", "number_year", "number_seq"),
        sa.CheckConstraint("net_minor >= 0 AND vat_minor >= 0", name="amounts"),
        sa.CheckConstraint("fee_minor BETWEEN 0 AND net_minor", name="fee"),
        sa.CheckConstraint("gross_minor = net_minor + vat_minor", name="gross"),
        sa.CheckConstraint("paid_minor BETWEEN 0 AND gross_minor", name="paid"),
        sa.CheckConstraint("state <> 'paid' OR paid_minor = gross_minor", name="paid_whole"),
        sa.CheckConstraint(
            "state <> 'partly_paid' OR (paid_minor > 0 AND paid_minor < gross_minor)",
            name="paid_part",
        ),
        sa.CheckConstraint(
            "(state = 'draft') = (number IS NULL) AND (number IS NULL) = (issued_at IS NULL)"
            " AND (number IS NULL) = (content_sha256 IS NULL)",
            name="issued",
        ),
        sa.Index("ix_invoice_state_due_at", "state", "due_at"),
    )

    id: str = id_field()
    provider_id: str = foreign_id_field(index=False)
    buyer_id: str = foreign_id_field()
    currency: str = text_field(3)
    period: str = text_field(PERIOD_CHARS, index=True)
    scope: str = text_field(32)
    state: InvoiceState = enum_field(InvoiceState)
    parties: dict[str, Any] = json_field()
    net_minor: int = int_field()
    vat_minor: int = int_field()
    fee_minor: int = int_field()
    gross_minor: int = int_field()
    paid_minor: int = int_field()
    taxes: list[Any] = json_field()
    fees: list[Any] = json_field()
    number: str | None = text_field(NUMBER_CHARS, nullable=True)
    number_year: int | None = int_field(nullable=True)
    number_seq: int | None = int_field(nullable=True)
    content_sha256: str | None = text_field(SHA256_CHARS, nullable=True)
    issued_at: datetime | None = moment_field(nullable=True)
    due_at: datetime | None = moment_field(nullable=True)
    paid_at: datetime | None = moment_field(nullable=True)

    def money(self, minor: int) -> Money:
        """An amount in the invoice's currency."""
        return Money(minor, currency_of(self.currency))

    @property
    def owed(self) -> Money:
        """What is still to be paid."""
        return self.money(self.gross_minor - self.paid_minor)


class InvoiceLine(SQLModel, table=True):
    """What one charge of one contract comes to, and the events that it counts.

    `kind` says whether units were paid for, included, granted, or none were counted (fixed,
    minimum, cap); or that they are of the earlier month `late_for` (late, credit).
    """

    __tablename__ = "invoice_line"
    __table_args__ = (
        sa.UniqueConstraint("invoice_id", "position"),
        sa.CheckConstraint("units >= 0", name="units"),
        sa.CheckConstraint("(units > 0) = (first_number IS NOT NULL)", name="events"),
        sa.CheckConstraint("(first_number IS NULL) = (last_number IS NULL)", name="range"),
        sa.CheckConstraint("last_number >= first_number AND first_number >= 1", name="order"),
    )

    id: str = id_field()
    invoice_id: str = ref_field("invoice.id", index=False)
    position: int = int_field()
    contract_id: str = foreign_id_field()
    grant_id: str = foreign_id_field()
    listing_id: str = foreign_id_field(index=False)
    plan_id: str = foreign_id_field(index=False)
    terms_sha256: str = text_field(SHA256_CHARS)
    charge: int = int_field()
    model: str = text_field(20)
    kind: str = text_field(20)
    description: str = text_field(400)
    meter: str = text_field(10)
    units: int = int_field()
    first_number: int | None = int_field(nullable=True)
    last_number: int | None = int_field(nullable=True)
    tiers: list[Any] = json_field()
    amount_minor: int = int_field()
    currency: str = text_field(3)
    vat_rate: str = text_field(RATE_CHARS)
    fee_rate: str = text_field(RATE_CHARS)
    late_for: str | None = text_field(PERIOD_CHARS, nullable=True)


class InvoicedRange(SQLModel, table=True):
    """A closed month of one grant: the events in it, and the invoice that they are on.

    An empty range ends before it begins. `units` are what was settled less what was given back,
    maybe below zero; `rated_units` are those that were priced, the rest is carried to a next month.
    `granted_units` beside them burned from unit grants: rated zero, and never carried. `late` has
    the units of earlier months beside them, and how many of each are priced here.
    """

    __tablename__ = "invoiced_range"
    __table_args__ = (
        sa.CheckConstraint("first_number >= 1 AND last_number >= first_number - 1", name="range"),
        sa.CheckConstraint("rated_units >= 0", name="rated_units"),
        sa.CheckConstraint("rated_units = 0 OR invoice_id IS NOT NULL", name="invoiced"),
        sa.Index(
            "uq_invoiced_range_grant_id_first_number",
            "grant_id",
            "first_number",
            unique=True,
            sqlite_where=sa.text("last_number >= first_number"),
            postgresql_where=sa.text("last_number >= first_number"),
        ),
    )

    grant_id: str = Field(sa_column=sa.Column(IdText, primary_key=True))
    period: str = Field(sa_column=sa.Column(sa.String(PERIOD_CHARS), primary_key=True))
    contract_id: str = foreign_id_field()
    first_number: int = int_field()
    last_number: int = int_field()
    units: int = int_field()
    rated_units: int = int_field()
    granted_units: int = int_field()
    late: list[Any] = json_field()
    invoice_id: str | None = ref_field("invoice.id", nullable=True)
    closed_at: datetime = moment_field()


class InvoiceSeries(SQLModel, table=True):
    """The last number that an issuer has given out in a year."""

    __tablename__ = "invoice_series"
    __table_args__ = (sa.CheckConstraint("last_seq >= 0", name="last_seq"),)

    provider_id: str = Field(sa_column=sa.Column(IdText, primary_key=True))
    year: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    last_seq: int = int_field()
