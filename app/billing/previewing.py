"""Previewing: what a contract's open months come to now, by the very rules of the invoice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from app.billing.billed import OpenContract, load_contracts
from app.billing.fees import Breakdown, break_down
from app.billing.invoices.drawing import late_book
from app.billing.invoices.lines import ChargeLine, carry_over, charge_lines, rated_amounts
from app.billing.invoices.months import BilledContract
from app.billing.periods import Period, period_of
from app.contracts.queries import access_contract
from app.db.session import actor_of, now
from app.kernel.clock import epoch_us
from app.metering.reported.late_use import late_units_settled
from app.metering.units.unit_grants import granted_between
from app.metering.usage.sums import Grouping, UsageFilter, usage_sums


@dataclass(frozen=True, slots=True)
class OpenMonth:
    """A month that is on no invoice yet; its money is that of an invoice with only this on it."""

    contract: BilledContract
    period: Period
    units: int
    lines: Sequence[ChargeLine]
    money: Breakdown


def preview_contract(
    session: Session, usage: sa.Connection, contract_id: str
) -> Sequence[OpenMonth]:
    """The open months of a contract that the actor may see, oldest first; `RowNotFound` else."""
    access_contract(session, contract_id)
    (contract,) = load_contracts(session, [contract_id])
    return list(_months(session, usage, contract))


def _months(session: Session, usage: sa.Connection, contract: OpenContract) -> Iterator[OpenMonth]:
    billed = contract.contract
    book = late_book(session, billed)
    for period in contract.open_months(period_of(now(session))):
        late = _late(usage, billed, period)
        granted = _granted(usage, billed, period)
        used = _units(session, usage, billed, period) - granted - sum(late.values())
        units, _ = carry_over(book.carried, used)
        first = period == billed.first_period
        lines = list(charge_lines(billed.prices.plan, units, granted, first=first))
        came_late = book.price(late, sum(line.amount.minor for line in lines))
        book.note(str(period), used, units, [one.use for one in came_late])
        lines += [line for one in came_late for line in one.lines]
        money = break_down(rated_amounts(billed.prices, lines), billed.prices.plan.money)
        yield OpenMonth(billed, period, units, lines, money)


def _late(usage: sa.Connection, contract: BilledContract, period: Period) -> dict[str, int]:
    from_us, until_us = epoch_us(period.starts_at), epoch_us(period.ends_at)
    return late_units_settled(usage, contract.grant_id, from_us, until_us)


def _granted(usage: sa.Connection, contract: BilledContract, period: Period) -> int:
    from_us, until_us = epoch_us(period.starts_at), epoch_us(period.ends_at)
    return granted_between(usage, contract.grant_id, from_us, until_us)


def _units(session: Session, usage: sa.Connection, contract: BilledContract, period: Period) -> int:
    wanted = UsageFilter(
        contract_id=contract.contract_id, first_on=period.first_on, last_on=period.last_on
    )
    sums = usage_sums(usage, actor_of(session), wanted, Grouping.CONTRACT)
    return sum(found.units for found in sums)
