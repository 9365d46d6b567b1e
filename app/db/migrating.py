"""Bringing a store to the newest shape, and asking whether it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from app.db.engine import is_sqlite

StoreName = Literal["market", "usage"]


def migrate(engine: Engine, store: StoreName, revision: str = "head") -> None:
    """Apply every migration up to `revision`; does nothing when the store is there already."""
    with _free_to_rebuild(engine) as connection:
        command.upgrade(_config(store, connection), revision)


def is_current(engine: Engine, store: StoreName) -> bool:
    """Whether the store stands at the newest migration."""
    with engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_revision()
    return here == ScriptDirectory.from_config(_config(store, None)).get_current_head()


@contextmanager
def _free_to_rebuild(engine: Engine) -> Iterator[Connection]:
    """A transaction in which SQLite lets a table that others refer to be made anew.

    Its references are checked at the end instead (https://sqlite.org/lang_altertable.html §7).
    """
    with engine.connect() as connection:
        if not is_sqlite(engine):
            with connection.begin():
                yield connection
            return
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                assert broken is None, (
                    f"a migration leaves a row without what it refers to: {broken}"
                )
        finally:
            driver.execute("PRAGMA foreign_keys=ON")


def _config(store: StoreName, connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations" / store))
    config.attributes["connection"] = connection
    return config
