"""Every trigger of billing, by dialect: what the migration and the tests' tables are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.billing.invoices.triggers import INVOICE_TRIGGERS
from app.billing.ledger.triggers import LEDGER_TRIGGERS

BILLING_TRIGGERS: Mapping[str, Sequence[str]] = {
    dialect: (*LEDGER_TRIGGERS[dialect], *INVOICE_TRIGGERS[dialect])
    for dialect in ("sqlite", "postgresql")
}
