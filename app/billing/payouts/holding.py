"""Holding: the provider's share of a payment is kept for the holding period, then released."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from app.accounts.roles import is_admin
from app.audit.recording import record
from app.billing.errors import StepRefused
from app.billing.payments.models import Payment
from app.billing.payouts.models import Payout, PayoutAccount
from app.billing.payouts.states import FREEZABLE, PayoutState, check_move
from app.billing.queries import access_payout
from app.db.installation import Installation, installation_of
from app.db.session import actor_of, now
from app.jobs.queue import enqueue
from app.kernel.actor import job_actor
from app.kernel.clock import epoch_us, rfc3339
from app.kernel.ids import new_id
from app.kernel.money import Money
from app.kernel.refusals import NotAllowed

SEND = "payout.send"
RELEASE_EVERY_S = 60.0
AT_ONCE = 500


def hold_share(session: Session, payment: Payment, share: Money) -> None:
    """Promise the provider its share of a payment that has just succeeded."""
    if not share.minor:
        return
    held = now(session)
    payout = Payout(
        id=new_id("pyo"),
        payment_id=payment.id,
        invoice_id=payment.invoice_id,
        provider_id=payment.provider_id,
        buyer_id=payment.buyer_id,
        amount_minor=share.minor,
        currency=share.currency,
        state=PayoutState.HELD,
        created_at=held,
        due_at=held + timedelta(days=installation_of(session).settings.payout_hold_days),
        attempt=1,
    )
    session.add(payout)
    session.flush()
    record_payout(session, payout, due_at=rfc3339(payout.due_at))
    enqueue(
        session,
        SEND,
        due_at=payout.due_at,
        dedupe_key=f"{SEND}:{payout.id}",
        payout_id=payout.id,
    )


def release_if_due(session: Session, payout: Payout) -> None:
    """Make a locked payout due when its holding period is over."""
    if payout.state is PayoutState.HELD and payout.due_at <= now(session):
        move_payout(session, payout, PayoutState.DUE)


def release_due(installation: Installation) -> None:
    """Make payouts due whose holding period is over, and ask for what can be sent.

    Each is asked for at its own moment, too; this finds those that had to wait.
    """
    with installation.transaction(job_actor("payouts.release")) as session:
        moment = now(session)
        held = session.exec(
            select(Payout)
            .where(Payout.state == PayoutState.HELD, col(Payout.due_at) <= moment)
            .order_by(col(Payout.due_at))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        for payout in held:
            release_if_due(session, payout)
        if not installation.settings.stripe_secret_key:
            return
        slot = epoch_us(moment) // (int(RELEASE_EVERY_S) * 1_000_000)
        for payout_id in sendable_payouts(session):
            enqueue(session, SEND, dedupe_key=f"{SEND}:{payout_id}:{slot}", payout_id=payout_id)


def freeze_payout(session: Session, payment_id: str, reason: str) -> None:
    """Keep back the payout of a payment whose money was taken back, unless an admin let it go.

    One that is sent, or on its way, stays as it is: the money is gone.
    """
    payout = session.exec(
        select(Payout)
        .where(Payout.payment_id == payment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if payout is None or payout.released_at is not None or payout.state not in FREEZABLE:
        return
    payout.failure = f"The buyer's payment is {reason}."
    move_payout(session, payout, PayoutState.FROZEN, reason=reason)


def retry_payout(session: Session, payout_id: str) -> Payout:
    """Make a payout that the processor refused due again, as another attempt.

    An admin also releases one that is frozen, and with that answers for it.
    """
    payout = access_payout(session, payout_id, lock=True)
    actor = actor_of(session)
    frozen = payout.state is PayoutState.FROZEN
    if not is_admin(actor) and (frozen or actor.organisation_id != payout.provider_id):
        who = "the administrator" if frozen else "the provider or the administrator"
        raise NotAllowed(f"Only {who} tries this payout again.")
    if payout.state not in (PayoutState.FAILED, PayoutState.FROZEN):
        raise StepRefused(
            f"A payout that is {payout.state.value} is not retried.", state=payout.state.value
        )
    if frozen:
        payout.released_at = now(session)
    payout.attempt += 1
    payout.sending_at = None
    move_payout(session, payout, PayoutState.DUE)
    enqueue(
        session,
        SEND,
        dedupe_key=f"{SEND}:{payout.id}:attempt-{payout.attempt}",
        payout_id=payout.id,
    )
    return payout


def move_payout(session: Session, payout: Payout, there: PayoutState, **facts: Any) -> None:
    """Move a locked payout and record it; refuses a move that its life does not know."""
    check_move(payout.state, there)
    payout.state = there
    record_payout(session, payout, **facts)
    session.flush()


def record_payout(session: Session, payout: Payout, **facts: Any) -> None:
    """The leaf of what a payout has become: the provider's business, and not its buyer's."""
    record(
        session,
        f"payout:{payout.state.value}",
        payout.id,
        organisations=(payout.provider_id,),
        payment_id=payout.payment_id,
        invoice_id=payout.invoice_id,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
        attempt=payout.attempt,
        **facts,
    )


def sendable_payouts(session: Session, provider_id: str | None = None) -> list[str]:
    """Payouts that are due, or were being sent, to accounts that take transfers."""
    statement = (
        select(Payout.id)
        .join(PayoutAccount, col(PayoutAccount.organisation_id) == col(Payout.provider_id))
        .where(
            col(Payout.state).in_([PayoutState.DUE, PayoutState.SENDING]),
            col(PayoutAccount.may_receive).is_(True),
        )
        .order_by(col(Payout.due_at), col(Payout.id))
        .limit(AT_ONCE)
    )
    if provider_id is not None:
        statement = statement.where(Payout.provider_id == provider_id)
    return list(session.exec(statement))
