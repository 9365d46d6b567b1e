"""Invoices over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlmodel import Session, col, select

from app.billing.invoices.issuing import lines_of
from app.billing.invoices.models import Invoice, InvoiceLine
from app.billing.invoices.schemas import (
    InvoiceSummary,
    InvoiceView,
    invoice_summary,
    invoice_view,
)
from app.billing.invoices.states import InvoiceState
from app.billing.queries import access_invoice, visible_invoices
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.schemas import Page

TAGS = ["Invoices"]
READ = needs("billing:read")


@get("/api/v1/invoices", sync_to_thread=True, guards=[READ], tags=TAGS)
def list_invoices(
    session: NamedDependency[Session],
    in_state: Annotated[InvoiceState | None, QueryParameter(name="state")] = None,
    contract_id: FromQuery[str | None] = None,
    period: Annotated[
        str | None,
        QueryParameter(pattern=r"^[0-9]{4}-[0-9]{2}(?!\n)$", description="A month: 2026-11."),
    ] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[InvoiceSummary]:
    """Invoices that the caller owes or is owed, newest first."""
    statement = visible_invoices(session)
    if in_state is not None:
        statement = statement.where(Invoice.state == in_state)
    if period is not None:
        statement = statement.where(Invoice.period == period)
    if contract_id is not None:
        on_it = select(InvoiceLine.invoice_id).where(InvoiceLine.contract_id == contract_id)
        statement = statement.where(col(Invoice.id).in_(on_it))
    return page_of(session, statement, col(Invoice.id), invoice_summary, limit=limit, cursor=cursor)


@get("/api/v1/invoices/{invoice_id:str}", sync_to_thread=True, guards=[READ], tags=TAGS)
def show_invoice(session: NamedDependency[Session], invoice_id: FromPath[str]) -> InvoiceView:
    """One invoice, line by line: each names its charge, its units and their events."""
    invoice = access_invoice(session, invoice_id)
    return invoice_view(invoice, lines_of(session, invoice.id))


ROUTERS = (list_invoices, show_invoice)
