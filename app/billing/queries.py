"""Which invoices, payments and payouts an actor may have."""

from __future__ import annotations

from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.roles import Role, has_role, is_admin
from app.billing.invoices.models import Invoice
from app.billing.invoices.states import InvoiceState
from app.billing.payments.models import Payment
from app.billing.payouts.models import Payout
from app.db.session import actor_of
from app.kernel.actor import Actor, ActorKind
from app.kernel.refusals import NotAllowed, RowNotFound

OVERSEERS = (Role.ADMIN, Role.AUDITOR)
"""Those of the alliance who may read what others owe."""

_OURSELVES = frozenset({ActorKind.JOB, ActorKind.OPERATOR})

Row = TypeVar("Row", Invoice, Payment, Payout)


def access_invoice(session: Session, invoice_id: str, *, lock: bool = False) -> Invoice:
    """The invoice, for its buyer, its provider and those who oversee; else `RowNotFound`."""
    return _access(session, Invoice, invoice_id, lock)


def access_payment(session: Session, payment_id: str) -> Payment:
    """The payment, for the invoice's two parties and those who oversee; else `RowNotFound`."""
    return _access(session, Payment, payment_id, False)


def access_payout(session: Session, payout_id: str, *, lock: bool = False) -> Payout:
    """The payout, for its provider and those who oversee; else `RowNotFound`."""
    return _access(session, Payout, payout_id, lock)


def visible_invoices(session: Session) -> SelectOfScalar[Invoice]:
    """The invoices that the actor may list."""
    return _visible(session, Invoice)


def visible_payments(session: Session) -> SelectOfScalar[Payment]:
    """The payments that the actor may list."""
    return _visible(session, Payment)


def visible_payouts(session: Session) -> SelectOfScalar[Payout]:
    """The payouts that the actor may list: what a provider is paid is not its buyers' business."""
    return _visible(session, Payout)


def access_payout_account(session: Session, organisation_id: str) -> None:
    """Refuse with `RowNotFound` an organisation that is not the actor's own, but for an admin."""
    actor = actor_of(session)
    if actor.organisation_id != organisation_id and not is_admin(actor):
        raise RowNotFound("There is no such thing, or it is not yours.")


def must_oversee(session: Session) -> None:
    """Refuse whoever may not see the books of the whole alliance."""
    if not _sees_all(actor_of(session)):
        raise NotAllowed("The ledger is open to the alliance's admins and auditors.")


def _access(session: Session, model: type[Row], row_id: str, lock: bool) -> Row:
    """Asks for the row and the right in one statement: a foreign id and a missing one are alike."""
    statement = _visible(session, model).where(model.id == row_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    row = session.exec(statement).one_or_none()
    if row is None:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return row


def _visible(session: Session, model: type[Row]) -> SelectOfScalar[Row]:
    actor = actor_of(session)
    statement = select(model)
    if model is Invoice:
        statement = statement.where(col(Invoice.state) != InvoiceState.DRAFT)
    if _sees_all(actor):
        return statement
    own = actor.organisation_id
    if model is Payout:
        return statement.where(col(model.provider_id) == own)
    return statement.where(sa.or_(col(model.buyer_id) == own, col(model.provider_id) == own))


def _sees_all(actor: Actor) -> bool:
    return actor.kind in _OURSELVES or has_role(actor, *OVERSEERS)
