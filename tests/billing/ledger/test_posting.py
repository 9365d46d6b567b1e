"""The ledger on a real store: once per cause, and never changed again."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from app.billing.ledger.accounts import Account, Processor, receivable
from app.billing.ledger.models import TransferKind
from app.billing.ledger.posting import post, postings_of
from app.billing.ledger.posting_rules import Sale, invoice_issued, payment_received
from app.billing.ledger.queries import account_balances, balance_of
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.money import CNY, Currency, Money

SALE = Sale("org_b", "org_p", Money(92_50, CNY), Money(6_00, CNY), Money(7_50, CNY))
YEN = Currency("JPY")


def post_invoice(session: Session, sale: Sale = SALE, cause: str = "inv_1:issued") -> str:
    return post(session, cause, TransferKind.INVOICE_ISSUED, invoice_issued(sale), invoice="inv_1")


def count(installation: Installation, table: str) -> int:
    with installation.market.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_cause_posts_once_however_often_it_is_told(installation: Installation) -> None:
    ids = set()
    for _ in range(3):
        with installation.transaction(OPERATOR) as session:
            ids.add(post_invoice(session))
            ids.add(post_invoice(session))
    assert len(ids) == 1
    assert (count(installation, "ledger_transfer"), count(installation, "ledger_posting")) == (1, 3)
    with installation.transaction(OPERATOR, writes=False) as session:
        assert postings_of(session, ids.pop()) == invoice_issued(SALE)


def test_other_postings_under_a_known_cause_are_a_bug(installation: Installation) -> None:
    with installation.transaction(OPERATOR) as session:
        post_invoice(session)
    other = Sale("org_b", "org_p", Money(92_51, CNY), Money(6_00, CNY), Money(7_50, CNY))
    with (
        pytest.raises(AssertionError, match="posted before"),
        installation.transaction(OPERATOR) as session,
    ):
        post_invoice(session, other)
    assert count(installation, "ledger_posting") == 3


def test_a_transfer_of_nothing_is_a_bug(installation: Installation) -> None:
    with pytest.raises(AssertionError), installation.transaction(OPERATOR) as session:
        post(session, "inv_1:issued", TransferKind.INVOICE_ISSUED, ())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfer SET cause = 'x'",
        "DELETE FROM ledger_posting",
        "DELETE FROM ledger_transfer",
        "UPDATE ledger_posting SET amount_minor = amount_minor + 1",
        "UPDATE ledger_posting SET amount_minor = amount_minor",
    ],
)
def test_what_is_posted_is_never_changed(installation: Installation, statement: str) -> None:
    with installation.transaction(OPERATOR) as session:
        post_invoice(session)
    with pytest.raises(DBAPIError, match="append-only"), installation.market.begin() as connection:
        connection.execute(text(statement))
    assert count(installation, "ledger_posting") == 3


def test_truncate_is_refused_too(installation: Installation, engine_name: str) -> None:
    if engine_name == "sqlite":
        return  # SQLite has no TRUNCATE: DELETE is above
    with pytest.raises(DBAPIError, match="append-only"), installation.market.begin() as connection:
        connection.execute(text("TRUNCATE ledger_posting"))


@pytest.mark.parametrize("change", [{"amount": 0}, {"amount": -1}, {"credit": "receivable:org_b"}])
def test_an_amount_is_positive_and_goes_from_one_account_to_another(
    installation: Installation, change: dict[str, object]
) -> None:
    with installation.transaction(OPERATOR) as session:
        transfer = post_invoice(session)
    values = {"transfer": transfer, "amount": 1, "credit": "alliance:fees", **change}
    with pytest.raises(DBAPIError), installation.market.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger_posting (transfer_id, position, debit_account, credit_account,"
                " amount_minor, currency, kind)"
                " VALUES (:transfer, 9, 'receivable:org_b', :credit, :amount, 'CNY', 'net')"
            ),
            values,
        )


def test_balances_are_signed_and_kept_apart_by_currency(installation: Installation) -> None:
    yen = Sale("org_b", "org_p", Money(925, YEN), Money(60, YEN), Money(75, YEN))
    with installation.transaction(OPERATOR) as session:
        post_invoice(session)
        post_invoice(session, yen, "inv_2:issued")
        paid = payment_received(SALE, Processor.STRIPE, SALE.gross, Money(0, CNY))
        post(session, "pay_1:paid", TransferKind.PAYMENT_RECEIVED, paid)
    with installation.transaction(OPERATOR, writes=False) as session:
        found = {(b.account, b.currency): b.balance.minor for b in account_balances(session)}
        owed = account_balances(session, starting="receivable:")
        in_yen = balance_of(session, receivable("org_b"), YEN)
        never = balance_of(session, Account("wallet:org_b"), CNY)
    assert found == {
        ("alliance:fees", "CNY"): 7_50,
        ("alliance:fees", "JPY"): 75,
        ("payable:org_p:available", "CNY"): 98_50,
        ("payable:org_p:pending", "CNY"): 0,
        ("payable:org_p:pending", "JPY"): 985,
        ("processor:stripe:clearing", "CNY"): 106_00,
        ("receivable:org_b", "CNY"): 0,
        ("receivable:org_b", "JPY"): 1060,
    }
    assert [(b.account, b.balance.minor) for b in owed] == [
        ("receivable:org_b", 0),
        ("receivable:org_b", 1060),
    ]
    assert (in_yen.minor, never.minor) == (1060, 0)
