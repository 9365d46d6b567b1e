"""Fixtures of the matrices: the application with a processor configured, and a world in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from litestar.testing import TestClient
from sqlalchemy import Engine

from app import db as app_db
from app import wiring
from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.installation import Installation
from app.main import create_app
from tests.conftest import Api, KnownActors
from tests.matrix.world import World


@pytest.fixture
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


@pytest.fixture
def api(configured: Installation) -> Iterator[Api]:
    actors = KnownActors(AccountAuthenticator(configured))
    app = create_app(configured, actors, wiring.ROUTERS)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client, actors)


@pytest.fixture
def world(configured: Installation, api: Api) -> World:
    return World(configured, api)


def _say_it_is_migrated(engine: Engine, store: str) -> None:
    """The tests' tables are made from the models; readiness asks for the newest migration."""
    config = Config()
    folder = Path(app_db.__file__).parent / "migrations" / store
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        script = ScriptDirectory.from_config(config)
        MigrationContext.configure(connection).stamp(script, "head")
