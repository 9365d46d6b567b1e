"""A database that is used again is as good as new."""

from __future__ import annotations

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.conftest import Databases


def run(url: str, *statements: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def rows(url: str) -> int:
    plain = make_url(url).render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        found = connection.execute("SELECT count(*) FROM product_sequence").fetchone()
    assert found is not None
    return int(found[0])


def test_a_database_given_back_comes_again_without_rows(databases: Databases) -> None:
    url = databases.fresh_url("postgres", "market")
    run(url, "INSERT INTO product_sequence (day, last) VALUES ('20261102', 1)")
    assert rows(url) == 1
    databases.give_back("market", url)
    again = databases.fresh_url("postgres", "market")
    assert again == url
    assert rows(url) == 0
    databases.give_back("market", again)


def test_a_database_with_another_table_or_trigger_does_not_come_again(databases: Databases) -> None:
    for statement in (
        "CREATE TABLE another (id int)",
        "DROP TRIGGER ledger_transfer_no_update ON ledger_transfer",
        "ALTER TABLE ledger_transfer DISABLE TRIGGER ALL",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); END $$",
    ):
        url = databases.fresh_url("postgres", "market")
        run(url, statement)
        databases.give_back("market", url)
        assert databases.fresh_url("postgres", "market") != url, statement
