"""Fixtures for everyone: a set clock and a fresh installation on each of the two databases."""

from __future__ import annotations

import atexit
import dataclasses
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# pgserver asks for it while it is imported, and warns where no one has logged in (containers, CI).
if "XDG_RUNTIME_DIR" not in os.environ:
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="zhigu-run-")
    atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)

import msgspec
import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import text

from app import wiring
from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.engine import make_engine
from app.db.installation import Installation, open_installation
from app.http.authenticating import Authenticator
from app.kernel.actor import Actor, ActorKind
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.kernel.sealing import MasterKeys
from app.main import create_app
from app.settings import Settings
from tests.emptying import is_emptied, watch
from tests.live import LiveServer, free_port
from tests.matrix.answers import is_as_documented
from tests.postgres import Postgres
from tests.stage import the_stage

START = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)  # a Monday, 09:00 in Chongqing
ENGINES = ("sqlite", "postgres")
STORES = ("market", "usage")

_numbers = itertools.count(1)


# Whole deployments, each test for many seconds: begun first, none is left over for the end.
LONG = tuple(f"{Path(__file__).parent / name}/" for name in ("faults", "sandbox", "journeys"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    items.sort(key=lambda item: not str(item.path).startswith(LONG))


class Databases:
    """Template stores of one test process, from which each test gets copies of its own.

    A copy that is given back is emptied and handed out again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: Postgres | None = None
        self._templates: set[str] = set()
        self._free: dict[str, list[str]] = {store: [] for store in STORES}

    def fresh_url(self, engine: str, store: str) -> str:
        """The URL of a new, empty, migrated store."""
        if engine == "sqlite":
            return self._fresh_sqlite(store)
        return self._fresh_postgres(store)

    def give_back(self, store: str, url: str) -> None:
        """Take back what `fresh_url` gave and nobody uses any more."""
        if not url.startswith("sqlite") and is_emptied(url):
            self._free[store].append(url)

    def empty_url(self, engine: str) -> str:
        """The URL of a new store without any table."""
        name = f"empty_{next(_numbers)}"
        if engine == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        return self._postgres().create(name)

    def close(self) -> None:
        """Stop the PostgreSQL server, if one was started."""
        if self._server is not None:
            self._server.close()

    def _fresh_sqlite(self, store: str) -> str:
        template = self.folder / f"template_{store}.db"
        if not template.exists():
            create_tables(f"sqlite:///{template}", store)
        copy = self.folder / f"{store}_{next(_numbers)}.db"
        shutil.copy(template, copy)
        return f"sqlite:///{copy}"

    def _fresh_postgres(self, store: str) -> str:
        if self._free[store]:
            return self._free[store].pop()
        template, server = f"template_{store}", self._postgres()
        if template not in self._templates:
            url = server.create(template)
            create_tables(url, store)
            watch(url)
            self._templates.add(template)
        return server.create(f"{store}_{next(_numbers)}", template)

    def _postgres(self) -> Postgres:
        if self._server is None:
            self._server = Postgres(self.folder / "pg")
            # Nothing here outlives the test: only the crash tests need fsync, and start their own.
            self._server.execute("ALTER SYSTEM SET fsync = off")
            self._server.execute("SELECT pg_reload_conf()")
        return self._server


def create_tables(url: str, store: str) -> None:
    """Create every table of `store`; `tests/db` shows that the migrations make the same."""
    engine = make_engine(url)
    with engine.begin() as connection:
        wiring.METADATA[store].create_all(connection)
        for statement in wiring.EXTRA_DDL[store].get(engine.dialect.name, ()):
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    folder = Path(tempfile.mkdtemp(prefix="zhigu-tests-"))
    found = Databases(folder)
    try:
        yield found
    finally:
        found.close()
        # A million small files take a minute to remove: nobody waits for it.
        subprocess.Popen(["rm", "-rf", str(folder)], start_new_session=True)


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
        for store in STORES:
            databases.give_back(store, settings.store_url(store))


class KnownActors:
    """An authenticator for tests: knows the tokens it gave out, asks the real one for others."""

    def __init__(self, real: Authenticator) -> None:
        self._real = real
        self._actors: dict[str, Actor] = {}

    def token_for(self, actor: Actor) -> str:
        token = f"known-{next(_numbers)}"
        self._actors[token] = actor
        return token

    def actor_of(self, token: str) -> Actor:
        if token in self._actors:
            return self._actors[token]
        return self._real.actor_of(token)


class Caller:
    """Somebody who calls the API over HTTP under one token, and holds it to its document."""

    def __init__(self, client: TestClient[Litestar], token: str | None) -> None:
        self._client = client
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def request(self, method: str, path: str, **options: Any) -> Response:
        headers = {**self._headers, **options.pop("headers", {})}
        answer = self._client.request(method, path, headers=headers, **options)
        is_as_documented(answer)
        return answer

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Response:
        return self.request("PATCH", path, **options)


class Api:
    """The whole application behind a test client; `as_client` says who calls."""

    def __init__(self, client: TestClient[Litestar], actors: KnownActors) -> None:
        self._client = client
        self._actors = actors

    def forget_cookies(self) -> None:
        """Drop what the test client keeps by itself: a test's browsers keep their own."""
        self._client.cookies.clear()

    def anonymous(self) -> Caller:
        return Caller(self._client, None)

    def with_token(self, token: str) -> Caller:
        return Caller(self._client, token)

    def as_client(
        self, organisation_id: str, *scopes: str, roles: Iterable[str] = (), actor_id: str = ""
    ) -> Caller:
        actor = Actor(
            ActorKind.CLIENT,
            actor_id or new_id("cli"),
            organisation_id,
            roles=frozenset(roles),
            scopes=frozenset(scopes),
        )
        return Caller(self._client, self._actors.token_for(actor))


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    actors = KnownActors(AccountAuthenticator(installation))
    with the_stage().serve(installation, actors) as client:
        yield Api(client, actors)


@pytest.fixture
def live(installation: Installation) -> Iterator[LiveServer]:
    """The whole application on a real port; its public address is that port."""
    port = free_port()
    settings = msgspec.structs.replace(installation.settings, public_url=f"http://127.0.0.1:{port}")
    moved = dataclasses.replace(installation, settings=settings)
    server = LiveServer(
        create_app(moved, KnownActors(AccountAuthenticator(moved)), wiring.ROUTERS), port
    )
    yield server.start()
    server.stop()
