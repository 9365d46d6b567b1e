"""Every row class of billing, for wiring to import."""

from __future__ import annotations

from sqlmodel import SQLModel

from app.billing.invoices.models import Invoice, InvoicedRange, InvoiceLine, InvoiceSeries
from app.billing.ledger.models import LedgerPosting, LedgerTransfer
from app.billing.models import PeriodClosing
from app.billing.payments.models import Payment, ProcessorCustomer, WebhookReceived
from app.billing.payouts.models import Payout, PayoutAccount

TABLES: tuple[type[SQLModel], ...] = (
    LedgerTransfer,
    LedgerPosting,
    Invoice,
    InvoiceLine,
    InvoicedRange,
    InvoiceSeries,
    PeriodClosing,
    Payment,
    ProcessorCustomer,
    WebhookReceived,
    PayoutAccount,
    Payout,
)
