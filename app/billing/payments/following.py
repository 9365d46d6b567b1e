"""Following: looking up at the processor how a payment stands, after a webhook or without one."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, func, or_, select

from app.billing.payments.models import Payment
from app.billing.payments.paying import START
from app.billing.payments.processor import CheckoutState, PaymentStanding
from app.billing.payments.processor import PaymentState as AtProcessor
from app.billing.payments.settling import close_unpaid, settle_payment
from app.billing.payments.states import UNSETTLED, PaymentState
from app.billing.payments.stripe_processor import processor_of
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import now
from app.jobs.queue import enqueue
from app.kernel.actor import job_actor
from app.kernel.clock import epoch_us
from app.kernel.refusals import Outage

FOLLOW = "payment.follow"
SWEEP_EVERY_S = 60.0
# Webhooks come within seconds: what is older than this has none, or one that we never got.
PATIENCE = timedelta(minutes=2)
AT_ONCE = 100
ACTOR = job_actor(FOLLOW)


def follow_payment(installation: Installation, payment_id: str, hint: str | None = None) -> None:
    """Look up a payment and settle it by what the processor says; often is as good as once.

    `hint` is an intent that an event spoke of: the page names it only when it has succeeded.
    One that has succeeded is looked up for its fee, and for a dispute or refund of its money.
    Raises `Outage` when the page is not known to us yet: `payment.start` is about to write it.
    """
    with installation.transaction(ACTOR, writes=False) as session:
        payment = get_or_refuse(session, Payment, payment_id)
    if payment.state not in UNSETTLED:
        if payment.state is PaymentState.SUCCEEDED:
            _settle(installation, payment, _standing(installation, payment.payment_intent))
        return
    if payment.checkout_session is None:
        raise Outage("The checkout page of this payment is not known yet.")
    processor = processor_of(installation.settings)
    page = processor.look_up_checkout(payment.checkout_session)
    standing = None
    intent = page.payment_intent or payment.payment_intent or hint
    if intent is not None:
        standing = processor.look_up_payment(intent)
    if standing is not None and (page.payment_intent or standing.payment_id == payment_id):
        _settle(installation, payment, standing)
    _close_if_over(installation, payment_id, page.state, standing)


def sweep_payments(installation: Installation) -> None:
    """Ask again about payments that have waited; recurring work, for webhooks that never came.

    So many at a time, and the next ones a minute later: none waits behind pages that stay open.
    """
    if not installation.settings.stripe_secret_key:
        return
    with installation.transaction(job_actor("payments.sweep")) as session:
        moment = now(session)
        waits = (
            or_(
                col(Payment.state).in_(UNSETTLED),
                (col(Payment.state) == PaymentState.SUCCEEDED) & col(Payment.fee_minor).is_(None),
            ),
            col(Payment.created_at) <= moment - PATIENCE,
        )
        slot = epoch_us(moment) // (int(SWEEP_EVERY_S) * 1_000_000)
        stretches = -(-session.exec(select(func.count()).where(*waits)).one() // AT_ONCE)
        first = AT_ONCE * (slot % max(1, stretches))
        waiting = select(Payment).where(*waits).order_by(col(Payment.id))
        for payment in session.exec(waiting.offset(first).limit(AT_ONCE)):
            opened = payment.checkout_session is not None
            kind = FOLLOW if opened else START
            enqueue(session, kind, dedupe_key=f"{kind}:{payment.id}:{slot}", payment_id=payment.id)


def _standing(installation: Installation, payment_intent: str | None) -> PaymentStanding:
    assert payment_intent is not None, "what succeeded has an intent"
    return processor_of(installation.settings).look_up_payment(payment_intent)


def _settle(installation: Installation, payment: Payment, standing: PaymentStanding) -> None:
    with installation.transaction(ACTOR) as session:
        settle_payment(session, payment.id, standing)


def _close_if_over(
    installation: Installation,
    payment_id: str,
    page: CheckoutState,
    standing: PaymentStanding | None,
) -> None:
    """A page that ended without money ends its payment, so that another can be begun."""
    if page is CheckoutState.EXPIRED:
        there, reason = PaymentState.CANCELLED, "checkout-expired"
    elif (
        page is CheckoutState.PROCESSING
        and standing is not None
        and standing.state is AtProcessor.OPEN
        and standing.failure_code is not None
    ):
        there, reason = PaymentState.FAILED, standing.failure_code
    else:
        return
    with installation.transaction(ACTOR) as session:
        close_unpaid(session, payment_id, there, reason)
