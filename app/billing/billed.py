"""Billed contracts: what billing reads of contracts, and which months are still open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel import Session, col, func, select

from app.billing.invoices.lines import SignedPrices
from app.billing.invoices.models import InvoicedRange
from app.billing.invoices.months import BilledContract
from app.billing.periods import Period, parse_period, period_of, periods_between
from app.contracts.models import Contract
from app.contracts.queries import (
    grants_of,
    terms_by_hash,
    uninvoiced_contracts,
    visible_contracts,
)
from app.contracts.states import LIVING
from app.contracts.terms import agreed_plan

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OpenContract:
    """A contract, the last month of it that was put on an invoice, and the month it ended in."""

    contract: BilledContract
    drawn_to: Period | None
    last: Period | None

    def open_months(self, up_to: Period) -> Iterator[Period]:
        """The months of its life that are not on an invoice yet, up to and with `up_to`."""
        last = up_to if self.last is None else min(up_to, self.last)
        return periods_between(self._first_open, last)

    def months_after_its_life(self, up_to: Period) -> Iterator[Period]:
        """The months after its end up to `up_to`, for calls that came as it ended."""
        if self.last is None:
            return iter(())
        return periods_between(max(self._first_open, self.last.following()), up_to)

    @property
    def _first_open(self) -> Period:
        if self.drawn_to is None:
            return self.contract.first_period
        return self.drawn_to.following()


def contracts_to_bill(session: Session, period: Period) -> dict[tuple[str, str], list[str]]:
    """The contracts that may have something to invoice up to `period`, by provider and buyer.

    Living ones, and those that have ended but are not invoiced to their end.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for provider_id, buyer_id, contract_id in uninvoiced_contracts(session, period.ends_at):
        found.setdefault((provider_id, buyer_id), []).append(contract_id)
    return found


def load_contracts(session: Session, contract_ids: Sequence[str]) -> list[OpenContract]:
    """These contracts with their signed prices, in order of their ids."""
    rows = session.exec(
        visible_contracts(session)
        .where(col(Contract.id).in_(contract_ids))
        .order_by(col(Contract.id))
    ).all()
    terms = terms_by_hash(session, [row.terms_sha256 for row in rows])
    grants = {grant.contract_id: grant.id for grant in grants_of(session, contract_ids)}
    drawn_to = _drawn_to(session, list(grants.values()))
    return [
        OpenContract(
            billed_contract(row, grants[row.id], terms[row.terms_sha256].document),
            drawn_to.get(grants[row.id]),
            _last_period(row),
        )
        for row in rows
    ]


def billed_contract(
    contract: Contract, grant_id: str, document: Mapping[str, Any]
) -> BilledContract:
    """What billing needs of a contract and the terms that both signed."""
    return BilledContract(
        contract_id=contract.id,
        grant_id=grant_id,
        listing_id=contract.listing_id,
        buyer_id=contract.buyer_id,
        provider_id=contract.provider_id,
        terms_sha256=contract.terms_sha256,
        parties={side: document[side] for side in ("provider", "buyer")},
        prices=signed_prices(document),
        first_period=_first_period(contract),
        never_began=_never_began(contract),
    )


def signed_prices(document: Mapping[str, Any]) -> SignedPrices:
    """The prices and rates that signed terms freeze."""
    agreed = agreed_plan(document)
    assert document["vat"]["prices"] == "exclusive", "prices that hold the tax are not offered"
    assert document["alliance_fee"]["of"] == "net", "the fee is a part of the net"
    return SignedPrices(
        plan_id=agreed.id,
        plan=agreed.plan,
        vat_rate=Decimal(document["vat"]["rate"]),
        fee_rate=Decimal(document["alliance_fee"]["rate"]),
        title=document["listing"]["title"],
    )


def _drawn_to(session: Session, grant_ids: Sequence[str]) -> dict[str, Period]:
    rows = session.exec(
        select(InvoicedRange.grant_id, func.max(InvoicedRange.period))
        .where(col(InvoicedRange.grant_id).in_(grant_ids))
        .group_by(InvoicedRange.grant_id)
    )
    return {grant_id: parse_period(period) for grant_id, period in rows}


def _last_period(contract: Contract) -> Period | None:
    """The month that the contract ended in; its end is the first moment that is not its own."""
    if contract.state in LIVING:
        return None
    ended_at: datetime = contract.ended_at or contract.ends_at
    return max(_first_period(contract), period_of(ended_at - INSTANT))


def _first_period(contract: Contract) -> Period:
    """The month in which what is due at signing is due: of its first day, if it came so far."""
    if _never_began(contract):
        return period_of(contract.activated_at)
    return period_of(max(contract.starts_at, contract.activated_at))


def _never_began(contract: Contract) -> bool:
    return contract.ended_at is not None and contract.ended_at <= contract.starts_at
