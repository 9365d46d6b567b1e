"""How an invoice's net divides: worked numbers of billing-rules.md, and that nothing is lost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.billing.fees import Breakdown, RatedAmount, break_down, fee_of, share_paid
from app.kernel.money import CNY, Money

VAT, FEE = Decimal("0.06"), Decimal("0.075")


def yuan(minor: int) -> Money:
    return Money(minor, CNY)


def breakdown(*lines: tuple[int, str, str]) -> Breakdown:
    rated = [RatedAmount(yuan(net), Decimal(vat), Decimal(fee)) for net, vat, fee in lines]
    return break_down(rated, CNY)


@pytest.mark.parametrize(
    ("net", "fee", "share"),
    [(100_00, 7_50, 92_50), (1, 0, 1), (0, 0, 0), (20, 1, 19), (7, 1, 6), (6, 0, 6), (60, 4, 56)],
)
def test_the_fee_is_the_largest_remainder_and_a_tie_goes_to_the_provider(
    net: int, fee: int, share: int
) -> None:
    found = breakdown((net, "0", "0.075"))
    assert (found.fee.minor, found.share.minor) == (fee, share)


def test_the_worked_invoice_of_100_yuan() -> None:
    found = breakdown((100_00, "0.06", "0.075"))
    assert (found.net.minor, found.vat.minor, found.gross.minor) == (100_00, 6_00, 106_00)
    assert (found.share.minor, found.fee.minor, found.provider_part.minor) == (92_50, 7_50, 98_50)


@pytest.mark.parametrize(("net", "vat"), [(25, 2), (75, 4), (8, 0), (9, 1), (2500, 150)])
def test_vat_is_rounded_half_even(net: int, vat: int) -> None:
    assert breakdown((net, "0.06", "0")).vat.minor == vat


def test_vat_is_taken_once_on_the_sum_of_the_lines_of_one_rate() -> None:
    # Each line alone would give 0.30 → 0 (three times nothing); their sum gives 0.90 → 1.
    found = breakdown((5, "0.06", "0.075"), (5, "0.06", "0.075"), (5, "0.06", "0.075"))
    assert found.vat.minor == 1
    mixed = breakdown((100, "0.06", "0.075"), (100, "0.13", "0.05"), (100, "0.06", "0.05"))
    assert [(str(t.rate), t.net.minor, t.amount.minor) for t in mixed.taxes] == [
        ("0.06", 200, 12),
        ("0.13", 100, 13),
    ]
    assert [(str(f.rate), f.net.minor, f.amount.minor) for f in mixed.fees] == [
        ("0.05", 200, 10),
        ("0.075", 100, 7),
    ]


@pytest.mark.parametrize("rate", ["-0.01", "1.01"])
def test_a_fee_rate_beyond_the_net_is_a_bug(rate: str) -> None:
    with pytest.raises(ValueError, match="fraction"):
        fee_of(yuan(100), Decimal(rate))


rates = st.sampled_from(["0", "0.01", "0.03", "0.06", "0.075", "0.13", "1"])
lines = st.lists(st.tuples(st.integers(0, 10**13), rates, rates), max_size=6)


@given(lines)
def test_share_fee_and_tax_are_the_gross_to_the_fen(given: list[tuple[int, str, str]]) -> None:
    found = breakdown(*given)
    assert found.net.minor == sum(net for net, _, _ in given)
    assert (found.share + found.fee + found.vat) == found.gross
    assert found.share.minor >= 0
    assert found.fee.minor >= 0


@pytest.mark.parametrize(
    ("paid", "theirs"), [(106_00, 98_50), (53_00, 49_25), (0, 0), (1, 1), (10_60, 9_85)]
)
def test_the_providers_part_of_what_was_paid_is_proportional(paid: int, theirs: int) -> None:
    assert share_paid(yuan(98_50), yuan(7_50), yuan(paid)).minor == theirs


def test_nothing_sold_gives_nothing_to_share() -> None:
    assert share_paid(yuan(0), yuan(0), yuan(0)) == yuan(0)
