"""Billing over HTTP: closing months, previews, and every route of billing's parts."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlmodel import Session

from app.accounts.roles import Role, must_have_role
from app.billing.billed import load_contracts
from app.billing.closing import request_closing
from app.billing.invoices import routes as invoices_routes
from app.billing.ledger import routes as ledger_routes
from app.billing.models import PeriodClosing
from app.billing.payments import routes as payments_routes
from app.billing.payouts import routes as payouts_routes
from app.billing.periods import parse_period
from app.billing.previewing import preview_contract
from app.billing.schemas import PeriodView, PreviewView, period_view, preview_view
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import now
from app.http.documented import Documented
from app.http.guarding import needs
from app.kernel.actor import Actor
from app.kernel.refusals import RowNotFound

TAGS = ["Billing"]
READ, ADMIN = needs("billing:read"), needs("admin")


@post(
    "/api/v1/billing/periods/{period:str}/close",
    status_code=202,
    sync_to_thread=True,
    guards=[ADMIN],
    tags=TAGS,
)
def close(
    session: NamedDependency[Session], actor: NamedDependency[Actor], period: FromPath[str]
) -> PeriodView:
    """Close a month that is over: a job draws its invoices. Closing it again changes nothing."""
    must_have_role(actor, Role.ADMIN)
    return period_view(request_closing(session, period))


@get("/api/v1/billing/periods/{period:str}", sync_to_thread=True, guards=[READ], tags=TAGS)
def show_period(session: NamedDependency[Session], period: FromPath[str]) -> PeriodView:
    """Whether a month is closed; 404 when nobody has asked for it."""
    return period_view(get_or_refuse(session, PeriodClosing, str(parse_period(period))))


@get(
    "/api/v1/billing/preview",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    opt={"documented": Documented(refuses=(RowNotFound,))},
)
def preview(
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
    contract_id: FromQuery[str],
) -> PreviewView:
    """What a contract's open months would be invoiced at, by the very rules of the invoice."""
    with installation.usage_transaction(writes=False) as usage:
        months = preview_contract(session, usage, contract_id)
    (contract,) = load_contracts(session, [contract_id])
    currency = contract.contract.prices.plan.money
    return preview_view(contract_id, currency, months, now(session))


ROUTERS = (
    close,
    show_period,
    preview,
    *invoices_routes.ROUTERS,
    *payments_routes.ROUTERS,
    *payouts_routes.ROUTERS,
    *ledger_routes.ROUTERS,
)
