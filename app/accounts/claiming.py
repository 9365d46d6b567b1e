"""Claiming: a row whose name must be its own: the constraint settles it, not a look before."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel

from app.kernel.refusals import Refusal


def claim(session: Session, row: SQLModel, taken: Refusal) -> None:
    """Write `row`, new or changed, or raise `taken` when another row has its name already.

    The transaction is lost then, as it is with every refusal. The row's references must be known
    to hold.
    """
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise taken from error
