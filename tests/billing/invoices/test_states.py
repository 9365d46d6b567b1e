"""Every pair of states of invoices: the table, and nothing beside it."""

from __future__ import annotations

import itertools

import pytest

from app.billing.errors import StepRefused
from app.billing.invoices.states import InvoiceState, check_move, state_when_paid

ALLOWED = {
    ("draft", "issued"),
    ("issued", "partly_paid"),
    ("issued", "paid"),
    ("issued", "overdue"),
    ("issued", "void"),
    ("partly_paid", "paid"),
    ("partly_paid", "overdue"),
    ("partly_paid", "uncollectible"),
    ("overdue", "paid"),
    ("overdue", "uncollectible"),
}


@pytest.mark.parametrize(("here", "there"), list(itertools.product(InvoiceState, repeat=2)))
def test_an_invoice_moves_only_as_the_table_says(here: InvoiceState, there: InvoiceState) -> None:
    if (here.value, there.value) in ALLOWED:
        check_move(here, there)
        return
    with pytest.raises(StepRefused) as refusal:
        check_move(here, there)
    assert refusal.value.status == 409
    assert refusal.value.facts["state"] == here.value


@pytest.mark.parametrize(
    ("here", "paid", "there"),
    [
        ("issued", 106, "paid"),
        ("issued", 1, "partly_paid"),
        ("partly_paid", 105, "partly_paid"),
        ("partly_paid", 106, "paid"),
        ("overdue", 105, "overdue"),
        ("overdue", 106, "paid"),
    ],
)
def test_what_is_paid_decides_where_an_open_invoice_stands(
    here: str, paid: int, there: str
) -> None:
    assert state_when_paid(InvoiceState(here), paid, 106).value == there
