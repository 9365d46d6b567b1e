"""Billing over HTTP: every route of its parts."""

from __future__ import annotations

from app.billing.invoices import routes as invoices_routes
from app.billing.ledger import routes as ledger_routes
from app.billing.payments import routes as payments_routes
from app.billing.payouts import routes as payouts_routes

ROUTERS = (
    *invoices_routes.ROUTERS,
    *payments_routes.ROUTERS,
    *payouts_routes.ROUTERS,
    *ledger_routes.ROUTERS,
)
