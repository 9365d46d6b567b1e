"""Accounts: the codes that money stands under, and the side on which each one grows.

One code names one account in each currency. `receivable:{buyer}` grows by debits: the buyer owes
us; `payable:{provider}:available` grows by credits: we owe the provider.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NewType

Account = NewType("Account", str)

PROCESSOR_FEES = Account("processor:fees")
DISPUTES_HELD = Account("disputes:held")
ALLIANCE_FEES = Account("alliance:fees")
SUSPENSE_BANK = Account("suspense:bank")
ADJUSTMENTS = Account("adjustments")


class Side(StrEnum):
    """The side on which an account grows."""

    DEBIT = "debit"
    CREDIT = "credit"


class Processor(StrEnum):
    """Through whom money comes in and goes out."""

    STRIPE = "stripe"
    BANK = "bank"


class Stage(StrEnum):
    """How far a provider's share has come: earned, paid for by the buyer, frozen by a dispute."""

    PENDING = "pending"
    AVAILABLE = "available"
    HELD = "held"


class UnknownAccount(ValueError):
    """Text that names no account: a bug, since codes are only made here."""


def receivable(buyer_id: str) -> Account:
    """What a buyer owes."""
    return Account(f"receivable:{buyer_id}")


def clearing(processor: Processor) -> Account:
    """What a processor holds for us."""
    return Account(f"processor:{processor.value}:clearing")


def payable(provider_id: str, stage: Stage) -> Account:
    """What we owe a provider."""
    return Account(f"payable:{provider_id}:{stage.value}")


def refunds_due(buyer_id: str) -> Account:
    """What a credit note owes a buyer until the money has gone back."""
    return Account(f"refunds:due:{buyer_id}")


def wallet(buyer_id: str) -> Account:
    """What a buyer has paid in beforehand."""
    return Account(f"wallet:{buyer_id}")


def normal_side(code: str) -> Side:
    """The side on which the account `code` grows; raises `UnknownAccount`."""
    for shape, side in _SIDES:
        if shape.fullmatch(code):
            return side
    raise UnknownAccount(f"{code!r} is not an account")


def signed_balance(code: str, debit_minor: int, credit_minor: int) -> int:
    """The balance in minor units, positive on the account's own side."""
    balance = debit_minor - credit_minor
    return balance if normal_side(code) is Side.DEBIT else -balance


_ORGANISATION = r"org_[0-9a-z]{1,40}"
_SIDES = tuple(
    (re.compile(pattern), side)
    for pattern, side in (
        (rf"receivable:{_ORGANISATION}", Side.DEBIT),
        (r"processor:(stripe|bank):clearing", Side.DEBIT),
        (r"processor:fees", Side.DEBIT),
        (r"disputes:held", Side.DEBIT),
        (rf"payable:{_ORGANISATION}:(pending|available|held)", Side.CREDIT),
        (r"alliance:fees", Side.CREDIT),
        (rf"refunds:due:{_ORGANISATION}", Side.CREDIT),
        (rf"wallet:{_ORGANISATION}", Side.CREDIT),
        (r"suspense:bank", Side.CREDIT),
        (r"adjustments", Side.CREDIT),
    )
)
