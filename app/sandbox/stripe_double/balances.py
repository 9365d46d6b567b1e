"""Balances: what the platform and each connected account hold, as a sum of balance transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import get
from app.sandbox.stripe_double.parameters import CURRENCY, LISTED, TEXT
from app.sandbox.stripe_double.refusals import too_late
from app.sandbox.stripe_double.world import PLATFORM, Call, Json, World

REPORTING_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "payment": "charge",
        "transfer_refund": "transfer_reversal",
        "payment_refund": "refund",
        "adjustment": "dispute",
        "payout_failure": "payout_reversal",
        "payout_cancel": "payout_reversal",
    }
)
"""Where it differs from the type."""


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that comes (positive) or goes, before the fee."""

    kind: str
    amount: int
    currency: str
    source: str
    description: str | None = None
    fee: int = 0
    available_on: int | None = None
    category: str | None = None
    """The reporting category, where the type alone does not say it."""


def book(world: World, movement: Movement, owner: str = PLATFORM) -> str:
    """Move the money; the id of the balance transaction that says so."""
    now = world.now_s()
    available_on = movement.available_on or now
    fees = [
        {
            "amount": movement.fee,
            "application": None,
            "currency": movement.currency,
            "description": "Sandbox processing fees",
            "type": "stripe_fee",
        }
    ]
    booked = world.add(
        {
            "id": world.new_id("txn"),
            "object": "balance_transaction",
            "amount": movement.amount,
            "available_on": available_on,
            "balance_type": "payments",
            "created": now,
            "currency": movement.currency,
            "description": movement.description,
            "exchange_rate": None,
            "fee": movement.fee,
            "fee_details": fees if movement.fee else [],
            "net": movement.amount - movement.fee,
            "reporting_category": movement.category
            or REPORTING_CATEGORIES.get(movement.kind, movement.kind),
            "source": movement.source,
            "status": "available" if available_on <= now else "pending",
            "type": movement.kind,
        },
        owner,
    )
    return str(booked["id"])


def held(world: World, owner: str, currency: str) -> tuple[int, int]:
    """What `owner` has: available, and still pending."""
    available = pending = 0
    for entry in _entries(world, owner):
        if entry["currency"] != currency:
            continue
        if entry["status"] == "available":
            available += entry["net"]
        else:
            pending += entry["net"]
    return available, pending


def demand_funds(world: World, owner: str, amount: int, currency: str, *, pending: bool) -> None:
    """Refuse with `balance_insufficient` unless `owner` has the amount (also counting pending)."""
    available, waiting = held(world, owner, currency)
    if amount > available + (waiting if pending else 0):
        raise too_late("You have insufficient funds in this account.", "balance_insufficient")


def _entries(world: World, owner: str) -> list[Json]:
    now = world.now_s()
    entries = list(world.all_of("balance_transaction", owner))
    for entry in entries:
        if entry["available_on"] <= now:
            entry["status"] = "available"
    return entries


def _retrieve_balance(world: World, call: Call) -> Json:
    entries = _entries(world, call.account)
    currencies = sorted({entry["currency"] for entry in entries}) or ["cny"]
    sums = {currency: held(world, call.account, currency) for currency in currencies}

    def amounts(index: int) -> list[Json]:
        return [
            {"amount": both[index], "currency": name, "source_types": {"card": both[index]}}
            for name, both in sums.items()
        ]

    return {
        "object": "balance",
        "available": amounts(0),
        "connect_reserved": [{"amount": 0, "currency": name} for name in currencies],
        "livemode": False,
        "pending": amounts(1),
    }


def _retrieve(world: World, call: Call) -> Json:
    _entries(world, call.account)
    return world.find("balance_transaction", call.path["id"], call.account)


def _list(world: World, call: Call) -> Json:
    _entries(world, call.account)
    wanted = {
        name: call.params[name] for name in ("currency", "source", "type") if name in call.params
    }
    return page(
        world,
        call,
        "balance_transaction",
        "/v1/balance_transactions",
        lambda entry: all(entry[name] == value for name, value in wanted.items()),
    )


OPERATIONS = (
    get("/v1/balance", _retrieve_balance),
    get(
        "/v1/balance_transactions",
        _list,
        {**LISTED, "currency": CURRENCY, "source": TEXT, "type": TEXT},
    ),
    get("/v1/balance_transactions/{id}", _retrieve),
)
