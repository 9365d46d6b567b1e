"""Fixtures of the matrices: the application with a processor configured, and worlds in it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from litestar.testing import TestClient
from sqlalchemy import Engine

from app import db as app_db
from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.installation import Installation, open_installation
from app.kernel.clock import SetClock
from app.kernel.sealing import MasterKeys
from app.main import create_product
from app.settings import Settings
from tests.conftest import ENGINES, START, Api, Databases, KnownActors
from tests.matrix.world import World

FOREVER = 2**40
"""When the tests' tokens lapse, in Unix seconds."""


@pytest.fixture(scope="module", autouse=True)
def no_clock_is_compared() -> Iterator[None]:
    """A test's clock is set, and no database follows it; `tests/reports` compares them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.reports.readiness.APART_MAX_S", math.inf)
        yield


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    with open_api(configured(installation)) as opened:
        yield opened


@pytest.fixture
def busy_world(installation: Installation) -> Iterator[World]:
    """A world of the test's own, in which things may happen."""
    ours = configured(installation)
    with open_api(ours) as opened:
        yield World(ours, opened)


@pytest.fixture(scope="module", params=ENGINES)
def world(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world for all tests that leave it as it is, and show that they do."""
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        market_url=databases.fresh_url(request.param, "market"),
        usage_url=databases.fresh_url(request.param, "usage"),
    )
    keys = MasterKeys("test", {"test": b"k" * 32})
    installation = configured(open_installation(settings, SetClock(START), keys))
    try:
        with open_api(installation) as opened:
            yield World(installation, opened)
    finally:
        installation.market.dispose()
        installation.usage.dispose()


def configured(installation: Installation) -> Installation:
    """An installation that has a payment processor: only jobs would call it, and none runs here."""
    settings = msgspec.structs.replace(
        installation.settings,
        stripe_secret_key="sk_test_of_nobody",
        stripe_api_base="http://127.0.0.1:9",
        stripe_webhook_secrets=("whsec_of_nobody",),
        stripe_sandbox=True,
    )
    for store in ("market", "usage"):
        _say_it_is_migrated(getattr(installation, store), store)
    return dataclasses.replace(installation, settings=settings)


@contextmanager
def open_api(installation: Installation) -> Iterator[Api]:
    """The whole product, gateway and all, behind a test client."""
    actors = KnownActors(AccountAuthenticator(installation))
    product = create_product(installation, actors, lambda token: (actors.actor_of(token), FOREVER))
    with TestClient(product, raise_server_exceptions=False) as client:
        yield Api(client, actors)


def _say_it_is_migrated(engine: Engine, store: str) -> None:
    """The tests' tables are made from the models; readiness asks for the newest migration."""
    config = Config()
    folder = Path(app_db.__file__).parent / "migrations" / store
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        script = ScriptDirectory.from_config(config)
        MigrationContext.configure(connection).stamp(script, "head")
