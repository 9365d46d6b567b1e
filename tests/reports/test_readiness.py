"""Readiness: traffic is asked for only while both stores answer and nobody is stopping us."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from app import wiring
from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.installation import Installation, open_installation
from app.db.migrating import migrate
from app.http.draining import FLAG_VARIABLE
from app.kernel.clock import SystemClock
from app.kernel.sealing import MasterKeys
from app.main import create_app
from app.settings import Settings
from tests.conftest import STORES, Databases


class OffClock(SystemClock):
    """A machine's clock that is off."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> OffClock:
    return OffClock()


@pytest.fixture
def migrated(
    engine_name: str, databases: Databases, clock: OffClock, tmp_path: Path
) -> Iterator[Installation]:
    urls = {f"{store}_url": databases.empty_url(engine_name) for store in STORES}
    keys = MasterKeys("test", {"test": b"k" * 32})
    opened = open_installation(Settings(home=tmp_path, **urls), clock, keys)
    for store in STORES:
        migrate(getattr(opened, store), store)
    yield opened
    for store in STORES:
        getattr(opened, store).dispose()


@pytest.fixture
def client(migrated: Installation) -> Iterator[TestClient[Litestar]]:
    app = create_app(migrated, AccountAuthenticator(migrated), wiring.ROUTERS)
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


# Looks like one of ours, so that the key which signed it is looked up.
BEARER = {"Authorization": "Bearer eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoieCIsInR5cCI6ImF0K2p3dCJ9.e30.AA"}


def check_missing(answer: Response, *missing: str) -> None:
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "missing": list(missing)}


def test_a_migrated_installation_is_ready_and_nobody_may_remember_it(
    client: TestClient[Litestar],
) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "missing": []}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("store", STORES)
def test_a_store_of_another_shape_is_not_served_from(
    client: TestClient[Litestar], migrated: Installation, store: str
) -> None:
    with getattr(migrated, store).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'older'"))
    check_missing(client.get("/readyz"), f"{store} store is not migrated")
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_token_costs_nobody_the_answer_when_the_store_is_away(
    client: TestClient[Litestar], migrated: Installation, path: str
) -> None:
    with migrated.market.begin() as connection:
        connection.execute(sa.text("ALTER TABLE token_key RENAME TO away"))
    assert client.get("/api/v1/me", headers=BEARER).status_code == 503
    assert client.get(path, headers=BEARER).status_code == 200


def test_a_server_that_is_about_to_stop_is_given_no_traffic(
    client: TestClient[Litestar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setenv(FLAG_VARIABLE, str(flag))
    assert client.get("/readyz").status_code == 200
    flag.touch()
    check_missing(client.get("/readyz"), "draining")
    assert client.get("/livez").json() == {"alive": True}


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
@pytest.mark.parametrize("ahead_s", [3600, -3600, 40 * 86_400, 300])
def test_a_server_whose_clock_is_off_is_given_no_traffic(
    client: TestClient[Litestar], clock: OffClock, ahead_s: int
) -> None:
    clock.ahead = timedelta(seconds=ahead_s)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    said = answer.json()["missing"]
    assert [one.partition(" is ")[0] for one in said] == [f"{one} store's clock" for one in STORES]
    clock.ahead = timedelta(seconds=2 if ahead_s > 0 else -2)
    assert client.get("/readyz").status_code == 200
