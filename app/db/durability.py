"""Durability: what a PostgreSQL server is set to that would lose what it has acknowledged."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import is_sqlite

# `synchronous_commit` is not among them: where it is off, our own sessions set it.
_MUST_BE_ON = text(
    "SELECT name FROM pg_settings WHERE setting = 'off'"
    " AND name IN ('fsync', 'full_page_writes') ORDER BY name"
)


def durability_doubts(stores: Mapping[str, Engine]) -> list[str]:
    """A sentence for each setting by which a store may lose, or tear, what it has committed.

    A store that is away is not doubted here: readiness tells of it. SQLite's are set by us.
    """
    found = []
    for name, engine in stores.items():
        if is_sqlite(engine):
            continue
        try:
            with engine.connect() as connection:
                settings = connection.scalars(_MUST_BE_ON).all()
        except SQLAlchemyError:
            continue
        found += [
            f"the {name} store's server has {setting} = off: a power loss may lose paid calls"
            for setting in settings
        ]
    return found
