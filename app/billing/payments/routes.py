"""Payments over HTTP, the processor's webhook, and the pages that it sends people back to."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, RawBody
from sqlmodel import Session, col

from app.billing.errors import MethodNotOffered, WebhookForged
from app.billing.payments.models import Payment
from app.billing.payments.paying import begin_payment
from app.billing.payments.receiving import receive_event
from app.billing.payments.schemas import (
    PayBody,
    PaymentBegun,
    PaymentView,
    WebhookTaken,
    payment_begun,
    payment_view,
)
from app.billing.payments.states import PaymentState
from app.billing.queries import access_payment, visible_payments
from app.db.installation import Installation
from app.http.describing import JSON
from app.http.documented import Documented, Sample
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.problems import TooLarge
from app.http.schemas import Page
from app.kernel.actor import Actor
from app.kernel.refusals import RowNotFound

TAGS = ["Payments"]
READ, WRITE = needs("billing:read"), needs("billing:write")

PAGES = {
    "paid": "已提交付款，可以关闭此页。Thank you; you may close this page.",
    "cancelled": "付款未完成，账单仍待支付。Nothing was paid; the invoice is still open.",
    "onboarded": "资料已提交，可以关闭此页。Your details are in; you may close this page.",
    "link-expired": "链接已失效，请重新获取。This link has expired; please ask for a new one.",
}
"""What people read when they come back from the processor; programs poll the payment."""


@post(
    "/api/v1/invoices/{invoice_id:str}/pay",
    status_code=202,
    sync_to_thread=True,
    guards=[WRITE],
    tags=TAGS,
)
def pay_invoice(
    data: JSONBody[PayBody],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
    invoice_id: FromPath[str],
) -> PaymentBegun:
    """Begin to pay an invoice, as its buyer: a job opens the checkout page, poll the payment."""
    if data.method != "stripe":
        raise MethodNotOffered("Only payment through Stripe is offered.", offered=["stripe"])
    amount = None if data.amount is None else data.amount.money()
    payment = begin_payment(session, invoice_id, amount)
    return payment_begun(payment, sandbox=installation.settings.stripe_sandbox)


@get("/api/v1/payments", sync_to_thread=True, guards=[READ], tags=TAGS)
def list_payments(
    session: NamedDependency[Session],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    in_state: Annotated[PaymentState | None, QueryParameter(name="state")] = None,
    invoice_id: FromQuery[str | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[PaymentView]:
    """Payments that the caller makes or gets, newest first."""
    statement = visible_payments(session)
    if in_state is not None:
        statement = statement.where(Payment.state == in_state)
    if invoice_id is not None:
        statement = statement.where(Payment.invoice_id == invoice_id)
    own, sandbox = actor.organisation_id, installation.settings.stripe_sandbox
    return page_of(
        session,
        statement,
        col(Payment.id),
        lambda payment: payment_view(payment, to=own, sandbox=sandbox),
        limit=limit,
        cursor=cursor,
    )


@get("/api/v1/payments/{payment_id:str}", sync_to_thread=True, guards=[READ], tags=TAGS)
def show_payment(
    session: NamedDependency[Session],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    payment_id: FromPath[str],
) -> PaymentView:
    """One payment: its checkout page, and how far it has come."""
    payment = access_payment(session, payment_id)
    sandbox = installation.settings.stripe_sandbox
    return payment_view(payment, to=actor.organisation_id, sandbox=sandbox)


WEBHOOK = Documented(
    takes={
        JSON: Sample(
            {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"},
            dict[str, Any],
        )
    },
    refuses=(WebhookForged, TooLarge),
)


@post(
    "/webhooks/stripe",
    status_code=200,
    sync_to_thread=True,
    tags=TAGS,
    opt={"own_authentication": True, "exempt_from_idempotency": True, "documented": WEBHOOK},
    security=[{}],
)
def receive_stripe_webhook(
    request: Request[Any, Any, Any], body: RawBody, session: NamedDependency[Session]
) -> WebhookTaken:
    """Take an event that Stripe has signed; a job acts on it. A forged one is refused."""
    receive_event(session, body, request.headers.get("stripe-signature"))
    return WebhookTaken()


@get(
    "/checkout/{page:str}",
    sync_to_thread=False,
    include_in_schema=False,
    opt={"no_transaction": True},
)
def show_page(page: FromPath[str]) -> Response[str]:
    """Where people land when they come back from the processor."""
    if page not in PAGES:
        raise RowNotFound("There is no such page.")
    return Response(PAGES[page], media_type="text/plain; charset=utf-8")


ROUTERS = (pay_invoice, list_payments, show_payment, receive_stripe_webhook, show_page)
