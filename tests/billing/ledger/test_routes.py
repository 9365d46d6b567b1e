"""The ledger over HTTP: for those who oversee, and balanced."""

from __future__ import annotations

from typing import Any

import pytest

from app.kernel.ids import new_id
from tests.billing.till import Till

PATHS = ("accounts", "transfers", "trial-balance")


def get(till: Till, path: str) -> Any:
    answer = till.auditor.get(f"/api/v1/ledger/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", PATHS)
def test_the_books_are_open_to_overseers_only(till: Till, path: str) -> None:
    url = f"/api/v1/ledger/{path}"
    assert till.api.anonymous().get(url).status_code == 401
    assert till.buyer.get(url).status_code == 403
    assert (
        till.api.as_client(new_id("org"), "usage:read", roles=["auditor"]).get(url).status_code
        == 403
    )
    for role in ("admin", "auditor"):
        overseer = till.api.as_client(new_id("org"), "audit:read", roles=[role])
        assert overseer.get(url).status_code == 200


def test_the_trial_balance_balances(till: Till) -> None:
    till.paid()
    till.invoice(7)
    found = get(till, "trial-balance")
    assert found["balanced"] is True
    (total,) = found["totals"]
    assert total["debit_balances"] == total["credit_balances"]
    assert total["debit_balances"]["amount_minor"] == 106_00 + 7_42


def test_accounts_are_signed_and_found_by_their_beginning(till: Till) -> None:
    till.invoice()
    (owed,) = get(till, "accounts?starting=receivable:")
    assert (owed["account"], owed["side"]) == (f"receivable:{till.buyer_id}", "debit")
    assert owed["balance"] == {"amount_minor": 106_00, "currency": "CNY"}
    assert get(till, "accounts?starting=%25") == []


def test_transfers_are_paged_and_found_by_account_and_cause(till: Till) -> None:
    payment_id = till.paid()
    assert [one["cause"] for one in get(till, f"transfers?cause={payment_id}")["items"]] == [
        f"{payment_id}:fee",
        f"{payment_id}:paid",
    ]
    first = get(till, "transfers?limit=2")
    rest = get(till, f"transfers?limit=2&cursor={first['next_cursor']}")
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    fees = get(till, "transfers?account=processor:fees")["items"]
    assert [one["kind"] for one in fees] == ["processor_fee"]
    one = get(till, f"transfers/{fees[0]['id']}")
    assert one == fees[0]
    assert one["postings"][0]["amount"] == {"amount_minor": 3_00, "currency": "CNY"}
    assert till.auditor.get("/api/v1/ledger/transfers/trf_unknown").status_code == 404
