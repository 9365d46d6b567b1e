"""Work of billing beside requests: closing months, talking to the processor, keeping days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.billing.closing import CLOSE, ENDED, close_contract, close_period
from app.billing.invoices.reminding import mark_overdue
from app.billing.payments.following import FOLLOW, SWEEP_EVERY_S, follow_payment, sweep_payments
from app.billing.payments.paying import START
from app.billing.payments.receiving import EVENT, handle_event
from app.billing.payments.starting import start_payment
from app.billing.payouts.holding import RELEASE_EVERY_S, SEND, release_due
from app.billing.payouts.onboarding import OPEN, open_account
from app.billing.payouts.sending import send_payout
from app.db.installation import Installation
from app.jobs.kinds import JobKind, Recurring

OVERDUE_EVERY_S = 600.0
# With the longest back-off between them, a week of tries: no payment is left because of an outage.
PATIENT = 1_000


def _close_period(installation: Installation, payload: Mapping[str, Any]) -> None:
    close_period(installation, payload["period"])


def _close_contract(installation: Installation, payload: Mapping[str, Any]) -> None:
    close_contract(installation, payload["contract_id"])


def _start_payment(installation: Installation, payload: Mapping[str, Any]) -> None:
    start_payment(installation, payload["payment_id"])


def _follow_payment(installation: Installation, payload: Mapping[str, Any]) -> None:
    follow_payment(installation, payload["payment_id"])


def _handle_event(installation: Installation, payload: Mapping[str, Any]) -> None:
    handle_event(installation, payload["event_id"])


def _send_payout(installation: Installation, payload: Mapping[str, Any]) -> None:
    send_payout(installation, payload["payout_id"])


def _open_account(installation: Installation, payload: Mapping[str, Any]) -> None:
    open_account(installation, payload["organisation_id"], payload["link"])


JOBS = (
    JobKind(CLOSE, _close_period, lease_s=600, max_attempts=PATIENT),
    JobKind(ENDED, _close_contract, lease_s=120, max_attempts=PATIENT),
    JobKind(START, _start_payment, lease_s=120, max_attempts=PATIENT),
    JobKind(FOLLOW, _follow_payment, lease_s=120, max_attempts=PATIENT),
    JobKind(EVENT, _handle_event, lease_s=120, max_attempts=PATIENT),
    JobKind(SEND, _send_payout, lease_s=120, max_attempts=PATIENT),
    JobKind(OPEN, _open_account, lease_s=120, max_attempts=PATIENT),
)

SCHEDULE = (
    Recurring("payments.sweep", lambda _installation: SWEEP_EVERY_S, sweep_payments),
    Recurring("payouts.release", lambda _installation: RELEASE_EVERY_S, release_due),
    Recurring("invoices.remind", lambda _installation: OVERDUE_EVERY_S, mark_overdue),
)
