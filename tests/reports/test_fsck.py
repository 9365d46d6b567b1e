"""`zhigu fsck`: silent and 0 when all holds, the broken row and 1 when not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from app.audit.checkpointing import sequence
from app.cli import main
from app.db.installation import Installation
from app.initialising import initialise
from app.opening import open_home
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


def test_each_broken_row_is_a_line_and_the_exit_code_says_so(home: Installation) -> None:
    with home.market.begin() as connection:
        client_id = connection.scalar(text("SELECT id FROM client"))
        connection.execute(text("UPDATE client SET scopes = '[]'"))
        connection.execute(text("UPDATE audit_checkpoint SET root = :root"), {"root": b"r" * 32})
    named = {
        "accounts": f"A1: client {client_id} has no leaf that gives it its scopes and roles",
        "audit": "A1: checkpoint 2 is not consistent with the leaves under it",
    }
    done = CliRunner().invoke(main, ["fsck"])
    assert done.exit_code == 1
    assert set(done.stdout.splitlines()) == {f"{group}: {text}" for group, text in named.items()}
    told = json.loads(CliRunner().invoke(main, ["fsck", "--json"]).stdout)
    assert {one["group"]: one["problem"] for one in told} == named
