"""Receiving: the inbox of the processor's webhooks, and the job that acts on each event once.

An event says that something happened, never what is true now: that is looked up. So repeated and
reordered events change nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from app.billing.errors import WebhookForged
from app.billing.payments.following import follow_payment
from app.billing.payments.models import REFERENCE_CHARS, Payment, WebhookReceived
from app.billing.payments.processor import WebhookEvent, WebhookRefused
from app.billing.payments.stripe_processor import processor_of
from app.billing.payouts.onboarding import refresh_account
from app.db.engine import is_sqlite
from app.db.installation import Installation, installation_of
from app.db.locks import get_or_refuse
from app.db.session import now
from app.jobs.queue import enqueue
from app.kernel.actor import job_actor

EVENT = "stripe.event"
ACTOR = job_actor(EVENT)
PAYMENT_KINDS = ("payment_intent.", "checkout.session.", "charge.")
ACCOUNT_KINDS = ("account.updated", "capability.updated")


def receive_event(session: Session, body: bytes, signature: str | None) -> None:
    """Put a signed event into the inbox, once, and ask for a job; refuses a forged one."""
    processor = processor_of(installation_of(session).settings)
    try:
        event = processor.verify_webhook(body, signature, now(session))
    except WebhookRefused as refused:
        raise WebhookForged(f"This webhook is not taken: {refused}.") from refused
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    session.execute(
        insert(WebhookReceived)
        .values(received_at=now(session), **_about(event))
        .on_conflict_do_nothing()
    )
    enqueue(session, EVENT, dedupe_key=f"{EVENT}:{event.event_id}", event_id=event.event_id)


def handle_event(installation: Installation, event_id: str) -> None:
    """Act on an event by looking up what it is about; raises `Outage` to be run again."""
    with installation.transaction(ACTOR, writes=False) as session:
        event = get_or_refuse(session, WebhookReceived, event_id)
        payment_id = _payment_of(session, event)
    if event.handled_at is not None:
        return
    outcome = "ignored"
    if event.kind in ACCOUNT_KINDS and event.account is not None:
        outcome = "account" if refresh_account(installation, event.account) else "unknown"
    elif event.kind.startswith(PAYMENT_KINDS) and event.account is None:
        if payment_id is not None:
            follow_payment(installation, payment_id, event.payment_intent)
        outcome = "payment" if payment_id is not None else "unknown"
    with installation.transaction(ACTOR) as session:
        handled = get_or_refuse(session, WebhookReceived, event_id, lock=True)
        handled.handled_at, handled.outcome = now(session), outcome


def _about(event: WebhookEvent) -> dict[str, Any]:
    """What an event is about; whose account it is when that is what changed."""
    subject = event.subject
    is_intent = event.kind.startswith("payment_intent.")
    account = event.account
    if account is None and event.kind == "account.updated":
        account = _text(subject, "id")
    return {
        "id": event.event_id,
        "kind": event.kind,
        "account": account,
        "subject_id": _text(subject, "id"),
        "payment_id": _text(subject.get("metadata"), "payment_id"),
        "payment_intent": _text(subject, "id" if is_intent else "payment_intent"),
        "created_at": event.created_at,
    }


def _payment_of(session: Session, event: WebhookReceived) -> str | None:
    """Our payment that the event is about: by what its metadata say, or by its intent."""
    if event.payment_id is not None:
        named = session.get(Payment, event.payment_id)
        if named is not None:
            return named.id
    if event.payment_intent is None:
        return None
    return session.exec(
        select(Payment.id).where(Payment.payment_intent == event.payment_intent)
    ).one_or_none()


def _text(holder: object, name: str) -> str | None:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if isinstance(value, str) and len(value) <= REFERENCE_CHARS else None
