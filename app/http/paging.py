"""Lists in stretches, by an opaque cursor over an ordered, unique key."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeVar

from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from app.http.schemas import Page
from app.kernel.refusals import Malformed

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

RowT = TypeVar("RowT")
ViewT = TypeVar("ViewT")


def page_of(
    session: Session,
    statement: SelectOfScalar[RowT],
    key: Any,
    view: Callable[[RowT], ViewT],
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[ViewT]:
    """One page of `statement`, newest first by the id column `key` (ids sort by their making)."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Malformed(f"limit is between 1 and {MAX_LIMIT}.")
    if cursor is not None:
        after = decode_cursor(cursor)
        statement = statement.where(key < after)
    rows = session.exec(statement.order_by(key.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[view(row) for row in shown],
        next_cursor=encode_cursor(str(getattr(shown[-1], key.key))) if more else None,
    )


def encode_cursor(key: str) -> str:
    """An opaque cursor that continues after `key`."""
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> str:
    """The key that `encode_cursor` hid; `Malformed` for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = base64.b64decode(padded, altchars=b"-_", validate=True).decode("utf-8")
    except ValueError as error:
        raise Malformed("This cursor was not given out here.") from error
    if not key.isprintable():
        raise Malformed("This cursor was not given out here.")
    return key
