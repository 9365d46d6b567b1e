"""Fsck's part of billing: silent on books that were only used, and names the row that is broken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from app.billing.checking import problems
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.billing.season import Season
from tests.billing.till import Till
from tests.breaking import unguard


def found(installation: Installation) -> list[str]:
    with (
        installation.transaction(OPERATOR, writes=False) as session,
        installation.usage_transaction(writes=False) as usage,
    ):
        return list(problems(session, usage))


def break_rows(engine: Engine, statement: str) -> None:
    """Change rows behind everybody's back."""
    with engine.begin() as connection:
        unguard(connection)
        assert connection.execute(text(statement)).rowcount, "nothing was broken"


def test_books_of_use_have_no_problems(used: Season) -> None:
    assert found(used.installation) == []


def balance_problems(till: Till) -> Sequence[str]:
    return [one for one in found(till.installation) if one.startswith("B1")]


def test_a_ledger_whose_guards_are_gone_is_named(sold: Till, engine_name: str) -> None:
    with sold.installation.market.begin() as connection:
        unguard(connection)
    gone = balance_problems(sold)
    assert "B1: posted rows can be changed, since the trigger ledger_posting_no_update is gone" in (
        gone
    )
    assert len(gone) == (4 if engine_name == "sqlite" else 6)


def test_books_of_money_balance(sold: Till) -> None:
    assert balance_problems(sold) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (
            "DELETE FROM ledger_posting WHERE kind = 'payment'",
            "B1: processor:stripe:clearing stands at",
        ),
        (
            "DELETE FROM ledger_posting WHERE kind = 'share'",
            "B1: payable:",
        ),
        (
            "DELETE FROM ledger_posting WHERE kind = 'processor_fee'",
            "has no postings",
        ),
        (
            "UPDATE ledger_posting SET amount_minor = amount_minor + 1 WHERE kind = 'alliance_fee'",
            "B1: alliance:fees stands at",
        ),
        (
            "UPDATE ledger_posting SET amount_minor = amount_minor + 1 WHERE kind = 'net'",
            "B1: receivable:",
        ),
        (
            "UPDATE ledger_posting SET debit_account = 'cash' WHERE kind = 'payment'",
            "B1: 'cash' is not an account",
        ),
        (
            "UPDATE invoice SET paid_minor = paid_minor + 1 WHERE state = 'partly_paid'",
            "is not paid as its payments say",
        ),
    ],
)
def test_a_broken_row_of_money_is_named(sold: Till, statement: str, wanted: str) -> None:
    break_rows(sold.installation.market, statement)
    assert any(wanted in one for one in balance_problems(sold)), balance_problems(sold)


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("DELETE FROM invoice_line WHERE kind = 'included'", "is not priced as was signed"),
        ("UPDATE invoice_line SET amount_minor = amount_minor + 1", "does not add up to its lines"),
        (
            "UPDATE invoice_line SET units = units + 1 WHERE kind = 'usage'",
            "is not priced as was signed",
        ),
        ("UPDATE invoice_line SET fee_rate = '0.05'", "does not add up to its lines"),
        ("UPDATE invoice_line SET description = 'x'", "does not say what it said"),
        (
            "UPDATE invoice_line SET last_number = last_number + 1 WHERE kind = 'usage'",
            "is not priced as was signed",
        ),
        (
            "UPDATE invoiced_range SET units = units + 1",
            "units, its events have",
        ),
        (
            "UPDATE invoiced_range SET units = units + 1",
            "units on no line",
        ),
        (
            "UPDATE invoiced_range SET granted_units = granted_units + 1",
            "granted units, its events have",
        ),
        (
            "UPDATE invoiced_range SET granted_units = granted_units + 1",
            "is not priced as was signed",
        ),
        (
            "UPDATE invoiced_range SET first_number = 2 WHERE first_number = 1",
            "begins at 2, not at 1",
        ),
        ("DELETE FROM invoiced_range", "is invoiced to 0"),
        ("DELETE FROM invoiced_range", "of which no month was closed"),
        ("UPDATE invoice SET number_seq = number_seq + 1", "have a gap before number"),
    ],
)
def test_a_broken_row_of_invoices_is_named(used: Season, statement: str, wanted: str) -> None:
    break_rows(used.installation.market, statement)
    told = found(used.installation)
    assert any(one.startswith("B2") and wanted in one for one in told), told


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE usage_event SET units = units + 1 WHERE number = 1", "its events have"),
        ("UPDATE grant_terms SET terms_sha256 = 'x'", "has units of other terms"),
        ("DELETE FROM usage_period", "but closed to 0"),
    ],
)
def test_a_broken_row_of_use_is_named(used: Season, statement: str, wanted: str) -> None:
    with used.installation.usage.begin() as connection:
        assert connection.execute(text(statement)).rowcount
    assert any(wanted in one for one in found(used.installation))
