"""Bringing a store to the newest shape, and asking whether it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

StoreName = Literal["market", "usage"]


def migrate(engine: Engine, store: StoreName, revision: str = "head") -> None:
    """Apply every migration up to `revision`; does nothing when the store is there already."""
    with engine.begin() as connection:
        command.upgrade(_config(store, connection), revision)


def is_current(engine: Engine, store: StoreName) -> bool:
    """Whether the store stands at the newest migration."""
    with engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_revision()
    return here == ScriptDirectory.from_config(_config(store, None)).get_current_head()


def _config(store: StoreName, connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations" / store))
    config.attributes["connection"] = connection
    return config
