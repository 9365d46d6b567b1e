"""Every row of the worked table of billing-rules.md, with the signed balance of every account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.billing.ledger.accounts import (
    Processor,
    Stage,
    UnknownAccount,
    normal_side,
    signed_balance,
)
from app.billing.ledger.posting_rules import (
    Postings,
    Sale,
    bank_money_matched,
    bank_money_unmatched,
    dispute_lost,
    dispute_opened,
    dispute_won,
    invoice_issued,
    payment_received,
    payout_sent,
    processor_fee,
    refund_credited,
    refund_sent,
)
from app.kernel.money import CNY, Money

SALE = Sale("org_b", "org_p", share=Money(92_50, CNY), vat=Money(6_00, CNY), fee=Money(7_50, CNY))


def yuan(minor: int) -> Money:
    return Money(minor, CNY)


GROSS, NOTHING = SALE.gross, yuan(0)
ISSUED = invoice_issued(SALE)
PAID = payment_received(SALE, Processor.STRIPE, GROSS, NOTHING)
FEE = processor_fee(Processor.STRIPE, yuan(3_00))
PAYOUT = payout_sent("org_p", Processor.STRIPE, yuan(98_50))
REFUNDED = refund_credited(SALE, GROSS, NOTHING, Stage.AVAILABLE)
REFUND_SENT = refund_sent("org_b", Processor.STRIPE, GROSS)
DISPUTED = dispute_opened(SALE, GROSS, yuan(15_00))

STRIPE, BANK, FEES = "processor:stripe:clearing", "processor:bank:clearing", "processor:fees"
OWED, PENDING, AVAILABLE = "receivable:org_b", "payable:org_p:pending", "payable:org_p:available"
HELD, ALLIANCE, DISPUTES = "payable:org_p:held", "alliance:fees", "disputes:held"
REFUNDS, SUSPENSE = "refunds:due:org_b", "suspense:bank"

TABLE: Sequence[tuple[str, Sequence[Postings], Mapping[str, int]]] = [
    ("issued", [ISSUED], {OWED: 106_00, PENDING: 98_50, ALLIANCE: 7_50}),
    ("paid", [ISSUED, PAID], {STRIPE: 106_00, AVAILABLE: 98_50, ALLIANCE: 7_50}),
    (
        "paid in part",
        [ISSUED, payment_received(SALE, Processor.STRIPE, yuan(53_00), NOTHING)],
        {OWED: 53_00, STRIPE: 53_00, PENDING: 49_25, AVAILABLE: 49_25, ALLIANCE: 7_50},
    ),
    (
        "processor's fee",
        [ISSUED, PAID, FEE],
        {STRIPE: 103_00, FEES: 3_00, AVAILABLE: 98_50, ALLIANCE: 7_50},
    ),
    (
        "after the payout",
        [ISSUED, PAID, FEE, PAYOUT],
        {STRIPE: 4_50, FEES: 3_00, ALLIANCE: 7_50},
    ),
    (
        "refund credited",
        [ISSUED, PAID, FEE, REFUNDED],
        {STRIPE: 103_00, FEES: 3_00, REFUNDS: 106_00},
    ),
    ("refund sent", [ISSUED, PAID, FEE, REFUNDED, REFUND_SENT], {STRIPE: -3_00, FEES: 3_00}),
    (
        "refund in part",
        [ISSUED, PAID, refund_credited(SALE, yuan(10_60), NOTHING, Stage.AVAILABLE)],
        {STRIPE: 106_00, AVAILABLE: 88_65, ALLIANCE: 6_75, REFUNDS: 10_60},
    ),
    (
        "credited before it was paid",
        [ISSUED, refund_credited(SALE, GROSS, NOTHING, Stage.PENDING)],
        {OWED: 106_00, REFUNDS: 106_00},
    ),
    (
        "refunded after the payout: the provider is carried below zero",
        [ISSUED, PAID, PAYOUT, REFUNDED, REFUND_SENT],
        {STRIPE: -98_50, AVAILABLE: -98_50},
    ),
    (
        "dispute opened",
        [ISSUED, PAID, DISPUTED],
        {DISPUTES: 106_00, STRIPE: -15_00, FEES: 15_00, HELD: 98_50, ALLIANCE: 7_50},
    ),
    (
        "dispute won, its fee given back",
        [ISSUED, PAID, DISPUTED, dispute_won(SALE, GROSS, yuan(15_00))],
        {STRIPE: 106_00, AVAILABLE: 98_50, ALLIANCE: 7_50},
    ),
    (
        "dispute won, its fee kept",
        [ISSUED, PAID, DISPUTED, dispute_won(SALE, GROSS, NOTHING)],
        {STRIPE: 91_00, FEES: 15_00, AVAILABLE: 98_50, ALLIANCE: 7_50},
    ),
    (
        "dispute lost",
        [ISSUED, PAID, DISPUTED, dispute_lost(SALE, GROSS)],
        {STRIPE: -15_00, FEES: 15_00},
    ),
    (
        "bank transfer with a matching reference",
        [ISSUED, payment_received(SALE, Processor.BANK, GROSS, NOTHING)],
        {BANK: 106_00, AVAILABLE: 98_50, ALLIANCE: 7_50},
    ),
    (
        "bank transfer without one",
        [ISSUED, bank_money_unmatched(GROSS)],
        {OWED: 106_00, PENDING: 98_50, ALLIANCE: 7_50, BANK: 106_00, SUSPENSE: 106_00},
    ),
    (
        "bank transfer matched later",
        [ISSUED, bank_money_unmatched(GROSS), bank_money_matched(SALE, GROSS, NOTHING)],
        {BANK: 106_00, AVAILABLE: 98_50, ALLIANCE: 7_50},
    ),
]


def balances(transfers: Sequence[Postings]) -> dict[str, int]:
    debit: dict[str, int] = defaultdict(int)
    credit: dict[str, int] = defaultdict(int)
    for posting in (posting for transfer in transfers for posting in transfer):
        assert posting.amount.minor > 0
        debit[posting.debit] += posting.amount.minor
        credit[posting.credit] += posting.amount.minor
    signed = {code: signed_balance(code, debit[code], credit[code]) for code in {*debit, *credit}}
    return {code: minor for code, minor in signed.items() if minor}


@pytest.mark.parametrize(
    ("transfers", "expected"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_each_event_leaves_exactly_these_signed_balances(
    transfers: Sequence[Postings], expected: Mapping[str, int]
) -> None:
    assert balances(transfers) == expected


def test_an_invoice_is_posted_in_three_legs() -> None:
    assert [(p.debit, p.credit, p.amount.minor, p.kind.value) for p in ISSUED] == [
        (OWED, PENDING, 92_50, "net"),
        (OWED, PENDING, 6_00, "vat"),
        (OWED, ALLIANCE, 7_50, "alliance_fee"),
    ]


def test_a_leg_of_zero_is_left_out() -> None:
    sale = Sale("org_b", "org_p", share=yuan(1), vat=yuan(0), fee=yuan(0))
    assert [posting.kind.value for posting in invoice_issued(sale)] == ["net"]


amounts = st.integers(min_value=0, max_value=10**12)


@given(share=amounts, vat=amounts, fee=amounts, data=st.data())
def test_a_sale_paid_in_any_parts_leaves_what_one_payment_leaves(
    share: int, vat: int, fee: int, data: st.DataObject
) -> None:
    sale = Sale("org_b", "org_p", yuan(share), yuan(vat), yuan(fee))
    paid, transfers = 0, [invoice_issued(sale)]
    while paid < sale.gross.minor and len(transfers) < 6:
        part = data.draw(st.integers(min_value=1, max_value=sale.gross.minor - paid))
        transfers.append(payment_received(sale, Processor.STRIPE, yuan(part), yuan(paid)))
        paid += part
        moved = balances(transfers).get(AVAILABLE, 0)
        assert 0 <= moved <= min(paid, sale.provider_part.minor)
        # Never further than half a unit from the exact share.
        assert (
            abs(moved * sale.gross.minor - sale.provider_part.minor * paid) * 2 <= sale.gross.minor
        )
    rest = sale.gross.minor - paid
    transfers.append(payment_received(sale, Processor.STRIPE, yuan(rest), yuan(paid)))
    whole = payment_received(sale, Processor.STRIPE, sale.gross, NOTHING)
    assert balances(transfers) == balances([invoice_issued(sale), whole])


@given(share=amounts, vat=amounts, fee=amounts, data=st.data())
def test_refunds_in_any_parts_give_back_each_side_its_whole_part(
    share: int, vat: int, fee: int, data: st.DataObject
) -> None:
    sale = Sale("org_b", "org_p", yuan(share), yuan(vat), yuan(fee))
    transfers = [
        invoice_issued(sale),
        payment_received(sale, Processor.STRIPE, sale.gross, NOTHING),
    ]
    cuts = data.draw(st.lists(st.integers(0, sale.gross.minor), max_size=4))
    marks = [0, *sorted(cuts), sale.gross.minor]
    for before, after in pairwise(marks):
        refund = yuan(after - before)
        transfers.append(refund_credited(sale, refund, yuan(before), Stage.AVAILABLE))
        transfers.append(refund_sent("org_b", Processor.STRIPE, refund))
    assert balances(transfers) == {}


@pytest.mark.parametrize("code", ["", "receivable:", "payable:org_p", "receivable:org_b:x", "cash"])
def test_what_is_no_account_has_no_side(code: str) -> None:
    with pytest.raises(UnknownAccount):
        normal_side(code)


@pytest.mark.parametrize(
    ("code", "side"),
    [
        (OWED, "debit"), (STRIPE, "debit"), (BANK, "debit"), (FEES, "debit"), (DISPUTES, "debit"),
        (PENDING, "credit"), (AVAILABLE, "credit"), (HELD, "credit"), (ALLIANCE, "credit"),
        (REFUNDS, "credit"), ("wallet:org_b", "credit"), (SUSPENSE, "credit"),
        ("adjustments", "credit"),
    ],
)  # fmt: skip
def test_each_account_grows_on_its_own_side(code: str, side: str) -> None:
    assert normal_side(code).value == side
