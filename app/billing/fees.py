"""Fees: how the net amount of an invoice divides into the provider's share, our fee and the tax.

Rates come from the signed terms and are frozen there. Prices are without VAT: the tax is added to
the sum of the lines of one rate, once per invoice; the alliance fee is a part of the net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.kernel.money import Currency, Money, share_of, split, total


@dataclass(frozen=True, slots=True)
class RatedAmount:
    """The net amount of one line, and the rates of the terms it was sold under (0.06 for 6 %)."""

    net: Money
    vat_rate: Decimal
    fee_rate: Decimal


@dataclass(frozen=True, slots=True)
class Part:
    """What one rate makes of the sum of its lines: a tax or a fee."""

    rate: Decimal
    net: Money
    amount: Money

    def document(self, name: str) -> dict[str, str | int]:
        """The part as JSON values; `name` says what the amount is."""
        return {"rate": str(self.rate), "net_minor": self.net.minor, name: self.amount.minor}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """An invoice's money: net = share + fee, gross = net + VAT, by rate and in sum."""

    taxes: Sequence[Part]
    fees: Sequence[Part]
    net: Money
    vat: Money
    fee: Money

    @property
    def gross(self) -> Money:
        """What the buyer pays."""
        return self.net + self.vat

    @property
    def share(self) -> Money:
        """What the provider keeps of the net."""
        return self.net - self.fee

    @property
    def provider_part(self) -> Money:
        """What goes to the provider: its share and the VAT, which is its own to declare."""
        return self.share + self.vat


def break_down(lines: Iterable[RatedAmount], currency: Currency) -> Breakdown:
    """The taxes and fees on `lines`; VAT half-even, the fee by largest remainder."""
    found = list(lines)
    net = total((line.net for line in found), currency)
    taxes = _parts(found, lambda line: line.vat_rate, share_of, currency)
    fees = _parts(found, lambda line: line.fee_rate, fee_of, currency)
    return Breakdown(
        taxes,
        fees,
        net,
        total((tax.amount for tax in taxes), currency),
        total((fee.amount for fee in fees), currency),
    )


def fee_of(net: Money, rate: Decimal) -> Money:
    """The alliance's part of `net`; an equal remainder goes to the provider."""
    if not 0 <= rate <= 1:
        raise ValueError("a fee rate is a fraction between 0 and 1")
    fee = Fraction(rate)
    _, ours = split(net, (fee.denominator - fee.numerator, fee.numerator))
    return ours


def share_paid(provider_part: Money, fee: Money, paid: Money) -> Money:
    """The provider's part of what a buyer has paid (or been refunded) so far, out of the whole.

    Cumulative: what moves now is this minus what has moved before, so the last fen always fits.
    """
    if provider_part.minor + fee.minor == 0:
        return Money(0, paid.currency)
    theirs, _ = split(paid, (provider_part.minor, fee.minor))
    return theirs


def _parts(
    lines: Sequence[RatedAmount],
    rate_of: Callable[[RatedAmount], Decimal],
    amount_of: Callable[[Money, Decimal], Money],
    currency: Currency,
) -> Sequence[Part]:
    nets = [
        (rate, total((line.net for line in lines if rate_of(line) == rate), currency))
        for rate in sorted({rate_of(line) for line in lines})
    ]
    return tuple(Part(rate, net, amount_of(net, rate)) for rate, net in nets)
