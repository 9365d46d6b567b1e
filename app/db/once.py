"""Once: a row that is written if its key is new, by whichever of many comes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

from app.db.engine import is_sqlite


def insert_once(session: Session, model: type[SQLModel], values: Mapping[str, Any]) -> bool:
    """Write the row unless its primary key is there already; whether it was written.

    Unlike a failed INSERT, a key that is taken leaves the transaction as it was.
    """
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    key = inspect(model).primary_key[0]
    fresh = insert(model).values(**values).on_conflict_do_nothing().returning(key)
    return session.execute(fresh).first() is not None
