"""Payouts and payout accounts over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlmodel import Session, col

from app.billing.payouts.holding import retry_payout
from app.billing.payouts.models import Payout
from app.billing.payouts.onboarding import payout_account, request_account
from app.billing.payouts.schemas import (
    PayoutAccountView,
    PayoutView,
    payout_account_view,
    payout_view,
)
from app.billing.payouts.states import PayoutState
from app.billing.queries import access_payout, visible_payouts
from app.db.installation import Installation
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.schemas import Page
from app.kernel.actor import Actor

TAGS = ["Payouts"]
READ, WRITE = needs("billing:read"), needs("billing:write")
ACCOUNT = "/api/v1/organisations/{organisation_id:str}/payout-account"


@post(ACCOUNT, status_code=202, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def open_payout_account(
    session: NamedDependency[Session],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    organisation_id: FromPath[str],
) -> PayoutAccountView:
    """Ask for an account at the processor, or a new link to set it up: a job makes it, read on."""
    account = request_account(session, organisation_id)
    sandbox = installation.settings.stripe_sandbox
    return payout_account_view(account, to=actor, sandbox=sandbox)


@get(ACCOUNT, sync_to_thread=True, guards=[READ], tags=TAGS)
def show_payout_account(
    session: NamedDependency[Session],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    organisation_id: FromPath[str],
) -> PayoutAccountView:
    """The organisation's payout account, and the link to set it up once there is one."""
    account = payout_account(session, organisation_id)
    sandbox = installation.settings.stripe_sandbox
    return payout_account_view(account, to=actor, sandbox=sandbox)


@get("/api/v1/payouts", sync_to_thread=True, guards=[READ], tags=TAGS)
def list_payouts(
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
    in_state: Annotated[PayoutState | None, QueryParameter(name="state")] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[PayoutView]:
    """The provider's payouts, newest first."""
    statement = visible_payouts(session)
    if in_state is not None:
        statement = statement.where(Payout.state == in_state)
    sandbox = installation.settings.stripe_sandbox
    return page_of(
        session,
        statement,
        col(Payout.id),
        lambda payout: payout_view(payout, sandbox=sandbox),
        limit=limit,
        cursor=cursor,
    )


@get("/api/v1/payouts/{payout_id:str}", sync_to_thread=True, guards=[READ], tags=TAGS)
def show_payout(
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
    payout_id: FromPath[str],
) -> PayoutView:
    """One payout."""
    payout = access_payout(session, payout_id)
    return payout_view(payout, sandbox=installation.settings.stripe_sandbox)


@post(
    "/api/v1/payouts/{payout_id:str}/retry",
    status_code=200,
    sync_to_thread=True,
    guards=[WRITE],
    tags=TAGS,
)
def retry(
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
    payout_id: FromPath[str],
) -> PayoutView:
    """Try a payout again that the processor has refused; an admin also releases a frozen one."""
    payout = retry_payout(session, payout_id)
    return payout_view(payout, sandbox=installation.settings.stripe_sandbox)


ROUTERS = (open_payout_account, show_payout_account, list_payouts, show_payout, retry)
