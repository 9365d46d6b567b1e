"""Money: integer minor units of one currency, rounded half-even, split without loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NewType

Currency = NewType("Currency", str)

CNY = Currency("CNY")

# ISO 4217 minor-unit exponents; a currency that is not here is not traded.
EXPONENTS: dict[str, int] = {
    "CNY": 2,
    "HKD": 2,
    "USD": 2,
    "EUR": 2,
    "GBP": 2,
    "SGD": 2,
    "JPY": 0,
    "KRW": 0,
    "BHD": 3,
}

# Wide enough that nothing is rounded before the one rounding at the end:
# 19 digits of units × 24 digits of price.
EXACT = Context(prec=60)


class MoneyError(ValueError):
    """Amounts that cannot be added, split or read; a bug in the caller or bad input at the edge."""


def currency_of(code: str) -> Currency:
    """The currency named by an ISO 4217 code; raises `MoneyError` for one that is not traded."""
    if code not in EXPONENTS:
        raise MoneyError(f"currency {code!r} is not traded here")
    return Currency(code)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (fen for CNY) and its currency; may be negative."""

    minor: int
    currency: Currency

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise MoneyError(f"minor units are an int, not {type(self.minor).__name__}")
        currency_of(self.currency)

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.minor <= other.minor

    def __str__(self) -> str:
        return f"{self.major()} {self.currency}"

    def major(self) -> Decimal:
        """The amount in major units, exactly."""
        return Decimal(self.minor).scaleb(-EXPONENTS[self.currency], EXACT)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise MoneyError(f"cannot combine {self.currency} with {other.currency}")


def zero(currency: Currency) -> Money:
    """No money, in `currency`."""
    return Money(0, currency)


def total(amounts: Iterable[Money], currency: Currency) -> Money:
    """The sum of `amounts`, all of `currency`; nothing sums to zero of it."""
    result = zero(currency)
    for amount in amounts:
        result = result + amount
    return result


def round_to_minor(major: Decimal, currency: Currency) -> Money:
    """`major` units rounded once, half-even, to the minor unit of `currency`."""
    if not major.is_finite():
        raise MoneyError("an amount must be a finite number")
    scaled = major.scaleb(EXPONENTS[currency], EXACT)
    return Money(int(scaled.to_integral_value(ROUND_HALF_EVEN)), currency)


def share_of(amount: Money, rate: Decimal) -> Money:
    """`amount` × `rate`, rounded half-even to the minor unit; rate is a fraction (0.06 for 6 %)."""
    return round_to_minor(EXACT.multiply(amount.major(), rate), amount.currency)


def split(amount: Money, weights: Sequence[int]) -> list[Money]:
    """`amount` divided by non-negative integer `weights`: largest remainders get the odd units.

    Equal remainders go to the earlier party, so name the favoured one first. The parts add up.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise MoneyError("weights are non-negative and at least one is positive")
    sign = -1 if amount.minor < 0 else 1
    shares = [divmod(abs(amount.minor) * weight, whole) for weight in weights]
    left = abs(amount.minor) - sum(quotient for quotient, _ in shares)
    by_remainder = sorted(range(len(shares)), key=lambda i: (-shares[i][1], i))
    lucky = set(by_remainder[:left])
    return [
        Money(sign * (quotient + (1 if i in lucky else 0)), amount.currency)
        for i, (quotient, _) in enumerate(shares)
    ]
