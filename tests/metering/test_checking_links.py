"""Fsck across the two stores: what is in force was signed so, and what was sealed is in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import text

from app.contracts.granting import change_grant
from app.contracts.models import Contract
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.metering.checking_links import problems
from app.metering.history.segments import seal_due
from tests.billing.season import Deal, Season
from tests.breaking import broken
from tests.conftest import Api
from tests.metering.store import give


@pytest.fixture
def season(installation: Installation, clock: SetClock, api: Api) -> Season:
    return Season(installation, clock, api)


@pytest.fixture
def deal(season: Season) -> Deal:
    """A contract with five calls, sealed in two segments, beside one that has ended."""
    deal = season.sign()
    for calls in (3, 2):
        season.use(deal, "2026-11-03 09:00:00", calls)
        seal_due(season.installation)
    season.end(season.sign())
    season.work()
    assert found(season.installation) == []
    return deal


def found(installation: Installation) -> list[str]:
    with (
        installation.usage_transaction(writes=False) as usage,
        installation.snapshot(OPERATOR) as session,
    ):
        return list(problems(usage, session, usage))


@contextmanager
def broken_use(installation: Installation, *statements: str) -> Iterator[sa.Connection]:
    """The usage store after these statements, each of which changes a row; then undone."""
    with installation.usage.connect() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount, f"changes nothing: {statement}"
        yield connection
        connection.rollback()


USE = {
    "a grant for another contract": (
        "UPDATE grant_state SET contract_id = 'ctr_x' WHERE grant_id = '{0}'",
        "C1: grant {0} is in force, but was never signed",
    ),
    "a grant of another buyer": (
        "UPDATE grant_state SET buyer_id = 'org_x' WHERE grant_id = '{0}'",
        "C1: grant {0} is not in force between those, or for as long, as was signed",
    ),
    "a grant that lasts longer": (
        "UPDATE grant_state SET ends_at_us = ends_at_us + 1 WHERE grant_id = '{0}'",
        "C1: grant {0} is not in force between those, or for as long, as was signed",
    ),
    "a grant of a later epoch": (
        "UPDATE grant_state SET epoch = 9 WHERE grant_id = '{0}'",
        "C1: grant {0} is in force at an epoch that it never had",
    ),
    "a grant of an earlier epoch": (
        "UPDATE grant_state SET epoch = 1 WHERE NOT live",
        "never came into force at epoch 2",
    ),
    "a grant that lives on": (
        "UPDATE grant_state SET live = true WHERE NOT live",
        "is in force as live, which it is not",
    ),
    "a grant under other terms": (
        "UPDATE grant_terms SET terms_sha256 = 'x' WHERE grant_id = '{0}'",
        "C1: grant {0} is in force under other terms than were signed",
    ),
    "a grant for another purpose": (
        "UPDATE grant_terms SET compiled = {1} WHERE grant_id = '{0}'",
        "C1: grant {0} is in force with another purpose than was signed",
    ),
    "a segment with a foreign leaf": (
        "UPDATE usage_segment SET leaf_id = 'leaf_x' WHERE first_number = 4",
        "A2: leaf leaf_x does not tell of segment 4–5 of {0}",
    ),
    "a segment of another root": (
        "UPDATE usage_segment SET root = 'x' WHERE first_number = 1",
        "does not tell of segment 1–3 of {0}",
    ),
    "segments that are gone": (
        "DELETE FROM usage_segment",
        "A2: segment 1–3 of {0} is gone, or is not what was sealed",
    ),
    "a grant that is gone": (
        "DELETE FROM usage_segment",
        "DELETE FROM usage_period",
        "DELETE FROM usage_window",
        "DELETE FROM grant_terms",
        "DELETE FROM grant_state",
        "C1: grant {0} never came into force at epoch 1",
    ),
}
OTHER_PURPOSE = {
    "sqlite": "json_set(compiled, '$.purpose', 'x')",
    "postgresql": "jsonb_set(compiled, '{purpose}', '\"x\"')",
}


def test_a_row_of_use_that_was_not_signed_or_sealed_so_is_named(season: Season, deal: Deal) -> None:
    installation = season.installation
    purpose = OTHER_PURPOSE[installation.usage.dialect.name]
    missed = {}
    for name, parts in USE.items():
        *statements, wanted = (part.format(deal.grant_id, purpose) for part in parts)
        with (
            broken_use(installation, *statements) as usage,
            installation.snapshot(OPERATOR) as session,
        ):
            said = list(problems(usage, session, usage))
        if not any(wanted in problem for problem in said):
            missed[name] = [*said, f"wanted: {wanted}"]
    assert missed == {}


MARKET = {
    "a leaf of a segment that is gone": (
        "DELETE FROM audit_leaf WHERE kind = 'usage:sealed'",
        "does not tell of segment 1–3",
    ),
    "a grant that is gone from the market": (
        "DELETE FROM data_grant WHERE live",
        "is in force, but was never signed",
    ),
    "a job that was given up": (
        "UPDATE data_grant SET epoch = 2 WHERE live",
        "never came into force at epoch 2",
    ),
}


def test_a_row_of_the_market_that_use_contradicts_is_named(season: Season, deal: Deal) -> None:
    missed = {}
    for name, (statement, wanted) in MARKET.items():
        with (
            season.installation.usage_transaction(writes=False) as usage,
            broken(season.installation, [statement]) as session,
        ):
            said = list(problems(usage, session, usage))
        if not any(wanted in problem for problem in said):
            missed[name] = [*said, f"wanted: {wanted}"]
    assert missed == {}


def test_a_grant_that_nobody_signed_is_named(season: Season, deal: Deal) -> None:
    give(season.installation, "grt_forged")
    assert found(season.installation) == ["C1: grant grt_forged is in force, but was never signed"]


def test_an_epoch_on_its_way_is_no_problem_until_its_job_is_given_up(
    season: Season, deal: Deal
) -> None:
    installation = season.installation
    with installation.transaction(OPERATOR) as session:
        change_grant(session, session.get_one(Contract, deal.contract_id))
    assert found(installation) == []
    with installation.market.begin() as connection:
        waiting = "kind = 'grant.apply' AND done_at IS NULL"
        failed = connection.execute(text(f"UPDATE job SET failed_at = due_at WHERE {waiting}"))
        assert failed.rowcount == 1
    assert found(installation) == [f"C1: grant {deal.grant_id} never came into force at epoch 2"]


def test_a_segment_without_a_leaf_is_waited_for_ten_minutes(
    season: Season, deal: Deal, clock: SetClock
) -> None:
    with season.installation.usage.begin() as connection:
        connection.execute(text("UPDATE usage_segment SET leaf_id = NULL WHERE first_number = 4"))
    assert found(season.installation) == []
    clock.advance(timedelta(minutes=10, seconds=1))
    assert found(season.installation) == [
        f"A2: segment 4–5 of {deal.grant_id} has had no leaf for 10 minutes"
    ]


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_what_comes_while_fsck_looks_breaks_no_link(season: Season, deal: Deal, when: str) -> None:
    """A contract is signed, used and sealed at each moment between the three views."""
    installation = season.installation

    def sell(moment: str) -> None:
        if moment == when:
            season.use(season.sign(), "2026-11-03 09:00:00", 2)
            seal_due(installation)

    with (
        view(installation, lambda: sell("before")) as before,
        installation.snapshot(OPERATOR) as session,
    ):
        assert session.connection().scalar(text("SELECT count(*) FROM contract")) == (
            3 if when == "before" else 2
        )
        sell("between")
        with view(installation, lambda: None) as after:
            sell("after")
            assert list(problems(before, session, after)) == []


@contextmanager
def view(installation: Installation, first: Callable[[], None]) -> Iterator[sa.Connection]:
    first()
    with installation.usage_transaction(writes=False) as connection:
        connection.execute(text("SELECT count(*) FROM grant_state"))
        yield connection
