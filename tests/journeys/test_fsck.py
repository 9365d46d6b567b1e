"""Fsck over a whole market: clean after use, read-only, and it names each broken invariant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from app.audit.checkpointing import sequence
from app.audit.recording import record
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.reports import fsck
from app.reports.fsck import Problem, check_everything
from app.sandbox.goods import world_gdp
from tests.breaking import unguard
from tests.journeys.conftest import Market
from tests.journeys.test_first_sale import DECEMBER_1, call, first_call

BREAKS = {
    ("audit", "A1"): ("market", "UPDATE audit_leaf SET commitment = salt WHERE number = 3"),
    ("accounts", "A1"): ("market", "UPDATE client SET roles = '[\"admin\"]'"),
    ("listings", "A1"): ("market", "UPDATE plan SET retired_at = created_at"),
    ("contracts", "C1"): ("market", "UPDATE signature SET jws = 'x'"),
    ("contracts", "A1"): ("market", "UPDATE data_grant SET epoch = epoch + 1"),
    ("metering", "M1"): ("usage", "UPDATE usage_window SET used_units = used_units - 1"),
    ("metering", "A2"): ("usage", "UPDATE usage_event SET status = 201 WHERE number = 2"),
    ("metering", "C1"): ("usage", "UPDATE grant_state SET buyer_id = 'org_x'"),
    ("billing", "B1"): ("market", "DELETE FROM ledger_posting WHERE kind = 'net'"),
    ("billing", "B2"): ("market", "UPDATE invoice_line SET units = units + 1 WHERE units > 0"),
    ("billing", "A1"): ("market", "UPDATE invoice SET issued_at = due_at"),
}


@pytest.fixture
def used(market: Market) -> Market:
    """A month of use, closed and invoiced, with everything sealed and under a checkpoint."""
    listed = market.list_goods(world_gdp())
    contract = market.contract(listed, "RESEARCH", (date(2026, 11, 2), date(2027, 1, 31)))
    first_call(market, listed.slug, contract["id"])
    for _ in range(24):
        assert call(market, listed.slug, contract["id"]).status == 200
    market.go_to(DECEMBER_1 + timedelta(minutes=1))
    market.admin.post("/api/v1/billing/periods/2026-11/close")
    market.run_jobs()
    assert [*check_everything(market.installation, patience_s=0)] == []
    return market


def test_the_first_row_that_breaks_each_invariant_is_named(used: Market) -> None:
    installation = used.installation
    stores = {"market": installation.market, "usage": installation.usage}
    with installation.market.begin() as connection:
        unguard(connection)
    for store, statement in BREAKS.values():
        with stores[store].begin() as connection:
            assert connection.execute(text(statement)).rowcount, f"changes nothing: {statement}"
    problems = list(check_everything(installation, patience_s=0))
    assert {(one.group, one.text.partition(":")[0]) for one in problems} == set(BREAKS)
    checks = [group for group, _ in fsck.CHECKS]
    for group, invariant in BREAKS:
        named = [one for one in problems if (one.group, one.text[:2]) == (group, invariant)]
        assert len(named) <= checks.count(group), "the first row of each check, no more"


def test_fsck_changes_nothing_and_takes_no_lock(used: Market) -> None:
    with said_to(used.installation) as statements:
        assert list(check_everything(used.installation)) == []
    assert len(statements) > 20
    assert {statement.split()[0] for statement in statements} <= {"SELECT", "WITH", "BEGIN"}
    assert not any("FOR UPDATE" in statement for statement in statements)


def test_a_late_leaf_is_named_unless_it_gets_its_number_while_fsck_waits(
    used: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = used.installation
    with installation.transaction(OPERATOR) as session:
        leaf_id = record(session, "thing:done", "thing_1")
    used.clock.advance(timedelta(seconds=11))
    named = f"A1: leaf {leaf_id} has had no number for more than 10 s"
    assert list(check_everything(installation, patience_s=0)) == [Problem("audit", named)]
    monkeypatch.setattr(fsck.time, "sleep", lambda _seconds: sequence(installation))
    assert list(check_everything(installation, patience_s=60)) == []


@contextmanager
def said_to(installation: Installation) -> Iterator[list[str]]:
    """Every statement that the two stores are given."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    engines = (installation.market, installation.usage)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
