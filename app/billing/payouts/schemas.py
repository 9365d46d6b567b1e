"""Shapes of payouts and payout accounts in the API."""

from __future__ import annotations

from datetime import datetime

from app.accounts.scopes import BILLING_WRITE
from app.billing.payouts.models import Payout, PayoutAccount
from app.http.examples import example_id, looks_like
from app.http.schemas import MoneyView, View, money_view
from app.kernel.actor import Actor


@looks_like(id=example_id("pyo"), state="held", attempt=0, sandbox=False)
class PayoutView(View):
    """A provider's share of one payment, on its way to the provider's connected account."""

    id: str
    payment_id: str
    invoice_id: str
    provider_id: str
    state: str
    amount: MoneyView
    created_at: datetime
    due_at: datetime
    paid_at: datetime | None
    attempt: int
    transfer: str | None
    failure: str | None
    sandbox: bool


@looks_like(state="ready", sandbox=False)
class PayoutAccountView(View):
    """A provider's account at the processor: requested, onboarding, or ready to be paid.

    `onboarding_url` is for one visit and a few minutes; ask again for another. Whoever follows it
    says which bank account is paid: only those of the organisation who may change it are told.
    """

    organisation_id: str
    state: str
    may_receive: bool
    pays_out: bool
    details_submitted: bool
    onboarding_url: str | None
    onboarding_url_expires_at: datetime | None
    sandbox: bool


def payout_view(payout: Payout, *, sandbox: bool) -> PayoutView:
    """The view of a payout."""
    return PayoutView(
        id=payout.id,
        payment_id=payout.payment_id,
        invoice_id=payout.invoice_id,
        provider_id=payout.provider_id,
        state=payout.state.value,
        amount=money_view(payout.amount),
        created_at=payout.created_at,
        due_at=payout.due_at,
        paid_at=payout.paid_at,
        attempt=payout.attempt,
        transfer=payout.transfer,
        failure=payout.failure,
        sandbox=sandbox,
    )


def payout_account_view(account: PayoutAccount, *, to: Actor, sandbox: bool) -> PayoutAccountView:
    """The view of a payout account as `to` sees it."""
    its_own = to.organisation_id == account.organisation_id and to.has_scope(BILLING_WRITE)
    if account.may_receive:
        state = "ready"
    else:
        state = "requested" if account.account is None else "onboarding"
    return PayoutAccountView(
        organisation_id=account.organisation_id,
        state=state,
        may_receive=account.may_receive,
        pays_out=account.pays_out,
        details_submitted=account.details_submitted,
        onboarding_url=account.url if its_own else None,
        onboarding_url_expires_at=account.url_expires_at if its_own else None,
        sandbox=sandbox,
    )
