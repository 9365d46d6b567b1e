"""What billing's tests sell: plans, contracts and closed months, made without the rest."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.billing.invoices.lines import SignedPrices
from app.billing.invoices.months import BilledContract, ContractMonth, EventRange
from app.billing.periods import Period, parse_period
from app.kernel.ids import new_id
from app.listings.charges import Charge, PerUnit, UnitPrice
from app.listings.plans import Plan

NOVEMBER = Period(2026, 11)
ONE_YUAN = UnitPrice("1.00", "CNY")
PER_CALL = PerUnit(ONE_YUAN)


def plan_of(*charges: Charge, name: str = "标准", currency: str = "CNY", **more: Any) -> Plan:
    return Plan(name=name, currency=currency, charges=charges or (PER_CALL,), **more)


def prices_of(plan: Plan, vat: str = "0.06", fee: str = "0.075") -> SignedPrices:
    return SignedPrices(new_id("pln"), plan, Decimal(vat), Decimal(fee), "世界各国GDP")


def contract_of(
    provider_id: str = "org_provider",
    buyer_id: str = "org_buyer",
    *,
    prices: SignedPrices | None = None,
    first: str = "2026-11",
) -> BilledContract:
    return BilledContract(
        contract_id=new_id("ctr"),
        grant_id=new_id("grt"),
        listing_id=new_id("lst"),
        buyer_id=buyer_id,
        provider_id=provider_id,
        terms_sha256="ab" * 32,
        parties={
            "provider": {"id": provider_id, "name": "数据有限公司", "credit_code": "P"},
            "buyer": {"id": buyer_id, "name": "买方有限公司", "credit_code": "B"},
        },
        prices=prices or prices_of(plan_of()),
        first_period=parse_period(first),
    )


def month_of(
    contract: BilledContract, units: int, first_number: int = 1, period: Period = NOVEMBER
) -> ContractMonth:
    """A month with one event for each unit; below zero, as many as were given back."""
    events = EventRange(first_number, first_number + abs(units) - 1, units)
    return ContractMonth(contract, period, events)
