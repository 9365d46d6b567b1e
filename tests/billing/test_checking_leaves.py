"""Fsck's A1 of money: a row that came to be, or moved, behind the log's back is named."""

from __future__ import annotations

from app.billing.checking_leaves import problems
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.billing.season import Season
from tests.billing.till import Till
from tests.breaking import missed

LATER = "'2026-12-24T00:00:00.000000Z'"
MONEY = {
    "a transfer without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'transfer:posted'",
        "was posted without a leaf",
    ),
    "a transfer of another moment": (
        f"UPDATE ledger_transfer SET posted_at = {LATER}",
        "was posted without a leaf",
    ),
    "a transfer of another kind": (
        "UPDATE ledger_transfer SET kind = 'refund_sent' WHERE kind = 'payout_sent'",
        "was posted without a leaf",
    ),
    "a posting of another amount": (
        "UPDATE ledger_posting SET amount_minor = amount_minor + 1 WHERE kind = 'payout'",
        "A1: the postings of transfer trf_",
    ),
    "a posting that is gone": (
        "DELETE FROM ledger_posting WHERE kind = 'processor_fee'",
        "A1: the postings of transfer trf_",
    ),
    "a transfer that is gone": (
        "DELETE FROM ledger_posting WHERE kind = 'payout'",
        "DELETE FROM ledger_transfer WHERE kind = 'payout_sent'",
        "is gone; leaf leaf_",
    ),
    "an invoice without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'invoice:issued'",
        "was issued without a leaf",
    ),
    "an invoice of other contents": (
        "UPDATE invoice SET content_sha256 = 'x'",
        "was issued without a leaf",
    ),
    "an invoice of another moment": (
        f"UPDATE invoice SET issued_at = {LATER}",
        "was issued without a leaf",
    ),
    "an invoice that became overdue by itself": (
        f"UPDATE invoice SET state = 'overdue', due_at = {LATER} WHERE state = 'issued'",
        "is overdue, the log says issued",
    ),
    "an invoice that is open again": (
        "UPDATE invoice SET state = 'issued', paid_minor = 0 WHERE state = 'paid'",
        "is issued, the log says paid",
    ),
    "an invoice that was paid later": (
        f"UPDATE invoice SET paid_at = {LATER} WHERE state = 'paid'",
        "was not paid when the log says",
    ),
    "a payment without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'payment:begun'",
        "was begun without a leaf",
    ),
    "a payment of another amount": (
        "UPDATE payment SET amount_minor = amount_minor + 1",
        "was begun without a leaf",
    ),
    "a payment that failed after all": (
        "UPDATE payment SET state = 'failed'",
        "is failed, the log says succeeded",
    ),
    "a payment that settled later": (
        f"UPDATE payment SET settled_at = {LATER}",
        "did not settle as the log says",
    ),
    "a payout without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'payout:held'",
        "was promised without a leaf",
    ),
    "a payout of another amount": (
        "UPDATE payout SET amount_minor = amount_minor + 1",
        "was promised without a leaf",
    ),
    "a payout that is sent again": (
        "UPDATE payout SET state = 'due', paid_at = NULL WHERE state = 'paid'",
        "is due, the log says paid",
    ),
    "a payout at another attempt": (
        "UPDATE payout SET attempt = 7",
        "was not sent as the log says",
    ),
    "a payout to another account": (
        "UPDATE payout_account SET account = 'acct_of_a_thief'",
        "is not what its last leaf says",
    ),
    "a payout account that nobody asked for": (
        "DELETE FROM audit_leaf WHERE kind = 'payout_account:requested'",
        "was asked for without a leaf",
    ),
    "a payout that is gone": ("DELETE FROM payout", "is gone; leaf leaf_"),
}
MONTHS = {
    "a month that nobody asked to close": (
        "DELETE FROM audit_leaf WHERE kind LIKE 'period:%'",
        "A1: 2026-11 was asked to be closed without a leaf",
    ),
    "a month that was closed at another moment": (
        f"UPDATE period_closing SET closed_at = {LATER}",
        "A1: 2026-11 was closed without a leaf",
    ),
}


def found(installation: Installation) -> list[str]:
    with installation.snapshot(OPERATOR) as session:
        return list(problems(session))


def test_a_row_of_money_behind_the_logs_back_is_named(sold: Till) -> None:
    assert found(sold.installation) == []
    assert missed(sold.installation, problems, MONEY) == {}


def test_a_month_closed_behind_the_logs_back_is_named(used: Season) -> None:
    assert found(used.installation) == []
    assert missed(used.installation, problems, MONTHS) == {}
