"""What is committed is on disk: our sessions see to it, and say where a server does not (F-A6)."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from app.db.durability import durability_doubts
from app.db.engine import make_engine
from app.db.installation import Installation


def test_a_server_that_does_not_wait_for_its_disk_is_named(
    installation: Installation, engine_name: str
) -> None:
    doubts = durability_doubts({"market": installation.market})
    # The server of the tests is set so: nothing on it outlives them.
    wanted = "the market store's server has fsync = off: a power loss may lose paid calls"
    assert doubts == ([wanted] if engine_name == "postgres" else [])


def test_a_store_that_is_away_is_not_doubted() -> None:
    engine = make_engine("postgresql://nobody@127.0.0.1:1/nothing")
    assert durability_doubts({"usage": engine}) == []


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
@pytest.mark.parametrize("mode", ["", "?pool_mode=transaction"])
@pytest.mark.parametrize(("default", "ours"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_our_transactions_wait_for_their_commit_whatever_the_servers_default(
    installation: Installation, mode: str, default: str, ours: str
) -> None:
    url = make_url(installation.settings.market_url)
    with installation.market.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        alter = f'ALTER DATABASE "{url.database}"'
        connection.exec_driver_sql(f"{alter} SET synchronous_commit = {default}")
    pooled = {"pool_mode": "transaction"} if mode else {}
    engine = make_engine(url.update_query_dict(pooled).render_as_string(hide_password=False))
    try:
        for _ in range(2):
            with engine.begin() as connection:
                found = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
                assert found == ours
    finally:
        engine.dispose()
        with installation.market.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.exec_driver_sql(f"{alter} RESET synchronous_commit")
