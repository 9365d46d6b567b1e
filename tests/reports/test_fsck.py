"""`zhigu fsck`: silent and 0 when all holds, the broken row and 1 when not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import event, text

from app.audit.checkpointing import sequence
from app.cli import main
from app.db.columns import market_metadata
from app.db.installation import Installation
from app.initialising import initialise
from app.opening import open_home
from app.reports.fsck import check_everything
from app.settings import load_settings
from tests.conftest import Databases


@pytest.fixture
def home(
    databases: Databases, engine_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """A new installation that the command's environment names."""
    monkeypatch.setenv("ZHIGU_HOME", str(tmp_path))
    for store in ("market", "usage"):
        monkeypatch.setenv(f"ZHIGU_{store.upper()}_URL", databases.empty_url(engine_name))
    settings = load_settings()
    initialise(settings)
    opened = open_home(settings)
    sequence(opened)
    yield opened
    opened.market.dispose()
    opened.usage.dispose()


def test_an_installation_that_was_only_made_is_whole(home: Installation) -> None:
    done = CliRunner().invoke(main, ["fsck"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "every invariant holds" in done.stderr


NOT_LOOKED_AT = {
    "answered_request": "an answer that may be repeated for a day",
    "authorization_code": "good for a minute",
    "catalogue_entry": "made from the listing, and made again from it",
    "catalogue_scene": "made from the listing, and made again from it",
    "data_file": "what was submitted of it stands in its version's hash",
    "invoice_series": "the numbers of the invoices themselves are looked at",
    "job": "looked at beside each grant, of which there is none here",
    "listing_review": "looked at beside each version, of which there is none here",
    "processor_customer": "the processor's name for a buyer",
    "product_sequence": "a number that is given out",
    "provider_visit": "a browser's way to an identity provider and back, good once",
    "refresh_token": "good once, and what it came of is held against the log",
    "revoked_token": "kept while the token would have lasted, and its leaf names it",
    "sign_in_session": "a browser that is signed in",
    "sign_in_tries": "a count that is forgotten",
    "used_nonce": "kept for ten minutes",
    "webhook_received": "what it is about is looked up, never taken from it",
}


def test_no_table_of_the_market_is_forgotten(home: Installation) -> None:
    """A new table is held against the log, or it says here why it need not be."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(home.market, "before_cursor_execute", note)
    assert list(check_everything(home)) == []
    looked_at = set(re.findall(r'(?:FROM|JOIN) "?(\w+)', " ".join(statements)))
    forgotten = {table for table in market_metadata.tables if table not in looked_at}
    assert forgotten == set(NOT_LOOKED_AT)


def test_each_broken_row_is_a_line_and_the_exit_code_says_so(home: Installation) -> None:
    with home.market.begin() as connection:
        client_id = connection.scalar(text("SELECT id FROM client"))
        connection.execute(text("UPDATE client SET scopes = '[]'"))
        connection.execute(text("UPDATE audit_checkpoint SET root = :root"), {"root": b"r" * 32})
    named = {
        "accounts": f"A1: client {client_id} has no leaf that gives it what it may do",
        "audit": "A1: checkpoint 2 is not consistent with the leaves under it",
    }
    done = CliRunner().invoke(main, ["fsck"])
    assert done.exit_code == 1
    assert set(done.stdout.splitlines()) == {f"{group}: {text}" for group, text in named.items()}
    told = json.loads(CliRunner().invoke(main, ["fsck", "--json"]).stdout)
    assert {one["group"]: one["problem"] for one in told} == named
