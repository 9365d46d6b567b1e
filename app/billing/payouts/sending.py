"""Sending: the job that moves a due payout to its provider, out of captured money only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from app.billing.ledger.accounts import Processor as ProcessorName
from app.billing.ledger.accounts import Stage, payable
from app.billing.ledger.models import TransferKind
from app.billing.ledger.posting import post
from app.billing.ledger.posting_rules import payout_sent
from app.billing.ledger.queries import balance_of
from app.billing.payments.models import Payment
from app.billing.payments.processor import (
    Processor,
    ProcessorRefused,
    ProcessorUnknown,
    TransferMade,
    TransferOrder,
)
from app.billing.payments.settling import settle_payment
from app.billing.payments.stripe_processor import processor_of
from app.billing.payouts.holding import SEND, move_payout, release_if_due
from app.billing.payouts.models import Payout, PayoutAccount
from app.billing.payouts.states import FREEZABLE, PayoutState
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import now
from app.kernel.actor import job_actor
from app.kernel.ids import PaymentId, PayoutId

KEY_LIFE = timedelta(hours=23)
ACTOR = job_actor(SEND)


@dataclass(frozen=True, slots=True)
class _Intent:
    """A transfer that is to be made; one that may have been made is looked for first."""

    order: TransferOrder
    may_be_made: bool


def send_payout(installation: Installation, payout_id: str) -> None:
    """Send a payout that is due, if its provider has an account and the money is there.

    Raises the processor's outages: the same transfer is asked for again. A refusal fails it.
    """
    processor = processor_of(installation.settings)
    if _is_taken_back(installation, processor, payout_id):
        return
    with installation.transaction(ACTOR) as session:
        intent = _intend(session, payout_id)
    if intent is None:
        return
    try:
        made = _find(processor, intent.order) if intent.may_be_made else None
        made = made or _ask(processor, intent.order)
    except ProcessorRefused as refusal:
        with installation.transaction(ACTOR) as session:
            _note_refusal(session, intent.order, refusal)
        return
    with installation.transaction(ACTOR) as session:
        _note_transfer(session, payout_id, made)


def _is_taken_back(installation: Installation, processor: Processor, payout_id: str) -> bool:
    """Freeze a payout whose payment is disputed or refunded: no webhook may have told of it."""
    with installation.transaction(ACTOR, writes=False) as session:
        payout = get_or_refuse(session, Payout, payout_id)
        payment = session.get_one(Payment, payout.payment_id)
    if payout.state not in FREEZABLE or payout.released_at is not None:
        return False
    assert payment.payment_intent is not None, "what was paid has an intent"
    standing = processor.look_up_payment(payment.payment_intent)
    if standing.taken_back is None:
        return False
    with installation.transaction(ACTOR) as session:
        settle_payment(session, payment.id, standing)
    return True


def _intend(session: Session, payout_id: str) -> _Intent | None:
    """Decide under the lock of the provider's account; None when it has to wait."""
    provider_id = get_or_refuse(session, Payout, payout_id).provider_id
    account = session.get(PayoutAccount, provider_id, with_for_update=True)
    payout = get_or_refuse(session, Payout, payout_id, lock=True)
    release_if_due(session, payout)
    if account is None:
        return None
    if payout.state is PayoutState.DUE:
        if not account.may_receive or not _is_covered(session, payout):
            return None
        payout.sending_at = now(session)
        move_payout(session, payout, PayoutState.SENDING, account=account.account)
    elif payout.state is not PayoutState.SENDING:
        return None
    payment = session.get_one(Payment, payout.payment_id)
    assert account.account is not None
    assert payment.charge is not None
    assert payout.sending_at is not None
    order = TransferOrder(
        PayoutId(payout.id),
        payout.amount,
        account.account,
        payment.charge,
        PaymentId(payment.id),
        payout.attempt,
    )
    # Another attempt has another key: what an earlier one has done after all must be found.
    is_old = now(session) >= payout.sending_at + KEY_LIFE
    return _Intent(order, is_old or payout.attempt > 1)


def _is_covered(session: Session, payout: Payout) -> bool:
    """Whether the provider's available share covers it beside what is being sent already."""
    available = balance_of(
        session, payable(payout.provider_id, Stage.AVAILABLE), payout.amount.currency
    )
    sending = session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(Payout.amount_minor), 0)).where(
            col(Payout.provider_id) == payout.provider_id,
            col(Payout.currency) == payout.currency,
            col(Payout.state) == PayoutState.SENDING,
        )
    )
    return available.minor - int(sending or 0) >= payout.amount_minor


def _ask(processor: Processor, order: TransferOrder) -> TransferMade:
    try:
        return processor.transfer(order)
    except ProcessorUnknown as silence:
        found = None if silence.repeatable else _find(processor, order)
        if found is None:
            raise
        return found


def _find(processor: Processor, order: TransferOrder) -> TransferMade | None:
    """The transfer that an earlier request has made after all."""
    for payout_id, made in processor.find_transfers(order.payment_id):
        if payout_id == order.payout_id:
            return made
    return None


def _note_transfer(session: Session, payout_id: str, made: TransferMade) -> None:
    """The money has moved, whatever another job was told meanwhile."""
    payout = get_or_refuse(session, Payout, payout_id, lock=True)
    if payout.state is PayoutState.PAID:
        return
    assert made.amount == payout.amount, "the processor moved another amount"
    payout.transfer = made.transfer
    payout.paid_at = now(session)
    move_payout(session, payout, PayoutState.PAID, transfer=made.transfer)
    post(
        session,
        f"{payout.id}:paid",
        TransferKind.PAYOUT_SENT,
        payout_sent(payout.provider_id, ProcessorName.STRIPE, payout.amount),
        payout_id=payout.id,
        payment_id=payout.payment_id,
        invoice_id=payout.invoice_id,
        transfer=made.transfer,
        balance_transaction=made.balance_transaction,
    )


def _note_refusal(session: Session, order: TransferOrder, refusal: ProcessorRefused) -> None:
    """A refusal ends its own attempt only: the next may be on its way already."""
    payout = get_or_refuse(session, Payout, order.payout_id, lock=True)
    if payout.state is not PayoutState.SENDING or payout.attempt != order.attempt:
        return
    payout.failure = refusal.detail[:500]
    move_payout(session, payout, PayoutState.FAILED, code=refusal.code)
