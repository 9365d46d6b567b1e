"""Reaching one row, and holding it while a rule decides."""

from __future__ import annotations

from typing import TypeVar

from sqlmodel import Session, SQLModel

from app.kernel.refusals import RowNotFound

Row = TypeVar("Row", bound=SQLModel)


def get_or_refuse(session: Session, model: type[Row], row_id: str, *, lock: bool = False) -> Row:
    """The row with this id, locked until the transaction ends if `lock`; else `RowNotFound`.

    On SQLite the write transaction is the lock; on PostgreSQL it is FOR UPDATE. Says nothing about
    who may see the row: that is the package's `access_*`.
    """
    # PostgreSQL stores no NUL and refuses to compare with one: a URL's %00 names nothing.
    row = None
    if "\0" not in row_id:
        row = session.get(model, row_id, with_for_update=lock, populate_existing=lock)
    if row is None:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return row
