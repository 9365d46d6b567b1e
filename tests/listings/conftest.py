"""The shop, on each of the two databases, with the routes of listings alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.installation import Installation
from app.listings.routes import ROUTERS
from app.main import create_app
from tests.conftest import Api, KnownActors
from tests.listings.shop import Shop


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    actors = KnownActors(AccountAuthenticator(installation))
    app = create_app(installation, actors, ROUTERS)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client, actors)


@pytest.fixture
def shop(installation: Installation, api: Api) -> Shop:
    return Shop(installation, api)
