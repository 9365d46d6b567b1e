"""Each store's migrations lead from nothing to exactly the models, on both engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from app import wiring
from app.db.engine import make_engine
from app.db.migrating import StoreName, is_current, migrate
from tests.conftest import Databases

PARTITIONED = "usage_event"


@pytest.mark.parametrize("store", ["market", "usage"])
def test_migrations_make_what_the_models_say(
    databases: Databases, engine_name: str, store: StoreName
) -> None:
    engine = make_engine(databases.empty_url(engine_name))
    assert not is_current(engine, store)
    migrate(engine, store)
    assert is_current(engine, store)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_object": is_compared(engine_name)},
        )
        assert compare_metadata(context, wiring.METADATA[store]) == []
        migrated = constraints(connection)
    wanted_engine = make_engine(databases.fresh_url(engine_name, store))
    with wanted_engine.connect() as connection:
        assert migrated == constraints(connection), "constraints and their names"
    migrate(engine, store)
    engine.dispose()
    wanted_engine.dispose()


def is_compared(engine_name: str) -> Callable[..., bool]:
    """On PostgreSQL partitions stand in no model, and carry the keys of their table by themselves:
    `constraints` compares those.
    """

    def compared(item: object, name: str | None, kind: str, *_: object) -> bool:
        if engine_name == "sqlite":
            return True
        if kind == "table":
            return not str(name).startswith(f"{PARTITIONED}_")
        table = getattr(item, "table", None)
        return kind not in {"index", "unique_constraint"} or getattr(table, "name", "") != (
            PARTITIONED
        )

    return compared


def constraints(connection: Connection) -> dict[str, list[str]]:
    """The names of every table's constraints and indexes."""
    inspector = inspect(connection)
    found: dict[str, list[str]] = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        named = [
            *inspector.get_check_constraints(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_indexes(table),
            *inspector.get_foreign_keys(table),
            inspector.get_pk_constraint(table),
        ]
        found[table] = sorted(str(item["name"]) for item in named)
    return found
