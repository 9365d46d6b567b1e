"""Sessions: who acts, what time it is, and the one commit.

A failed COMMIT is an `Outage`, never a success; what a refusal must remember is committed before
the refusal is told.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from app.kernel.actor import Actor
from app.kernel.refusals import Outage, Refusal


def actor_of(session: Session) -> Actor:
    """Who acts in this transaction."""
    actor = session.info["actor"]
    assert isinstance(actor, Actor)
    return actor


def act_as(session: Session, actor: Actor) -> None:
    """Let what follows be recorded under `actor`: somebody who signed in by other than a token."""
    session.info["actor"] = actor


def now(session: Session) -> datetime:
    """The moment of this transaction: the installation's clock, read once, when first asked for.

    So a row and the audit leaf beside it bear the same moment, which shows to anybody later that
    they were written together.
    """
    moment = session.info.get("moment")
    if moment is None:
        moment = session.info["moment"] = session.info["installation"].clock.now()
    assert isinstance(moment, datetime)
    return moment


def commit(session: Session) -> None:
    """Make the transaction durable, or raise `Outage`: it did not happen, or it is unknown."""
    session.info.pop("moment", None)
    try:
        session.commit()
    except SQLAlchemyError as error:
        rollback(session)
        raise store_away(error) from error


def rollback(session: Session) -> None:
    """Undo the transaction; a connection that broke is undone by its server."""
    session.info.pop("moment", None)
    try:
        session.rollback()
    except DBAPIError:
        session.invalidate()


def remember(session: Session, refusal: Refusal) -> None:
    """Commit what `refusal` must keep, in `session`, a fresh one; raises `Outage` if it cannot."""
    if refusal.keep is None:
        return
    try:
        refusal.keep(session)
        session.commit()
    except SQLAlchemyError as error:
        rollback(session)
        raise store_away(error) from error
    finally:
        session.close()


def store_away(error: Exception) -> Outage:
    """The outage that a failing store is told as."""
    full = isinstance(error, PoolTimeout)
    return Outage(
        "The store is busy; try again." if full else "The store did not answer; try again.",
        retry_after_s=1,
    )
