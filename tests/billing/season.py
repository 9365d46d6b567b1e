"""A season: contracts that are signed, used over months, closed and ended, on a set clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from app import wiring
from app.billing.invoices.models import Invoice, InvoicedRange, InvoiceLine
from app.billing.ledger.queries import account_balances
from app.db.installation import Installation
from app.jobs.worker import Worker
from app.kernel.actor import OPERATOR
from app.kernel.clock import SHANGHAI, SetClock, epoch_us
from app.kernel.ids import new_id
from app.metering.granting import load_grant
from app.metering.tally.calls import Settled
from app.metering.units.unit_grants import apply_unit_grants
from tests.conftest import Api, Caller
from tests.contracts.market import Market, Trader
from tests.listings.examples import per_unit_plan, price
from tests.metering.calling import call_on
from tests.metering.grant_documents import granted_units
from tests.metering.store import settle, take_back

ONE_YUAN = {"model": "per_unit", "unit_price": price("1.00")}


def local(text: str) -> datetime:
    """`2026-11-30 23:59:59` in Asia/Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@dataclass(frozen=True)
class Deal:
    """A signed contract and its grant."""

    contract_id: str
    grant_id: str


@dataclass(eq=False)
class Season:
    """Two traders and what they do over the months."""

    installation: Installation
    clock: SetClock
    api: Api

    def __post_init__(self) -> None:
        self.market = Market(self.installation, self.api)

    def sign(self, *charges: dict[str, Any], **wish: Any) -> Deal:
        """A contract on goods with these charges and no quota that blocks."""
        plan = per_unit_plan(charges=list(charges or (ONE_YUAN,)), quotas=[])
        contract = self.market.contract(self.market.list_goods(plan=plan), **wish)
        self.work()
        return Deal(contract["id"], contract["grants"][0]["id"])

    def use(self, deal: Deal, at: str, calls: int = 1) -> list[Settled]:
        """Calls of one unit each that settle at a moment, whatever the clock says."""
        with self.installation.usage_transaction(writes=False) as connection:
            grant = load_grant(connection, deal.grant_id)
        assert grant is not None
        at_us = epoch_us(local(at))
        return settle(self.installation, *(call_on(grant, at_us) for _ in range(calls)))

    def grant_units(self, deal: Deal, amount: int) -> None:
        """Units for the whole winter, behind the contracts' back."""
        life = epoch_us(local("2026-11-01")), epoch_us(local("2027-03-01"))
        with self.installation.usage_transaction() as connection:
            apply_unit_grants(
                connection,
                deal.grant_id,
                [granted_units(f"ugr_{deal.grant_id[4:]}", amount, *life)],
            )

    def give_back(self, deal: Deal, event: Settled, at: str) -> None:
        take_back(self.installation, event.event_id, epoch_us(local(at)), deal.grant_id)

    def set_clock(self, text: str) -> None:
        self.clock.set_to(local(text))

    def work(self) -> None:
        Worker(self.installation, wiring.JOBS).run_due()

    @property
    def admin(self) -> Caller:
        scopes = ("admin", "billing:read", "billing:write")
        return self.api.as_client(new_id("org"), *scopes, roles=["admin"])

    def reader(self, trader: Trader) -> Caller:
        return self.api.as_client(trader.id, "billing:read")

    def ask_to_close(self, period: str) -> Any:
        return self.admin.post(f"/api/v1/billing/periods/{period}/close")

    def close(self, period: str) -> None:
        assert self.ask_to_close(period).status_code == 202
        self.work()
        found = self.admin.get(f"/api/v1/billing/periods/{period}")
        assert found.json()["state"] == "closed", found.text

    def end(self, deal: Deal) -> None:
        answer = self.market.contract_step(
            self.market.buyer, deal.contract_id, "end", {"reason": "测试"}
        )
        assert answer.status_code == 200, answer.text

    def invoices(self) -> list[tuple[str, str, int]]:
        """Period, the contract it is drawn for (empty: the pair's month), net amount."""
        with self.session() as session:
            rows = session.exec(select(Invoice).order_by(col(Invoice.id)))
            return [(row.period, row.scope, row.net_minor) for row in rows]

    def lines(self) -> list[tuple[str, int, int | None, int | None, int]]:
        """Kind, units, first and last number, amount of each line, in order of their making."""
        with self.session() as session:
            rows = session.exec(select(InvoiceLine).order_by(col(InvoiceLine.id)))
            return [
                (row.kind, row.units, row.first_number, row.last_number, row.amount_minor)
                for row in rows
            ]

    def ranges(self) -> list[tuple[str, str, int, int, int, bool]]:
        """Grant, period, first and last number, units, and whether it is on an invoice."""
        with self.session() as session:
            order = (col(InvoicedRange.grant_id), col(InvoicedRange.period))
            return [
                (
                    row.grant_id,
                    row.period,
                    row.first_number,
                    row.last_number,
                    row.units,
                    row.invoice_id is not None,
                )
                for row in session.exec(select(InvoicedRange).order_by(*order))
            ]

    def balances(self) -> dict[str, int]:
        with self.session() as session:
            return {b.account: b.balance.minor for b in account_balances(session)}

    def usage(self) -> Any:
        return self.installation.usage_transaction(writes=False)

    def session(self) -> Any:
        return self.installation.transaction(OPERATOR, writes=False)


def books(season: Season) -> tuple[Any, ...]:
    """Everything that closing comes to, without ids that differ from run to run."""
    return season.invoices(), season.lines(), season.ranges(), season.balances()
