"""Months: what goes onto an invoice: a contract, a closed month of it, and the events in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.billing.invoices.lines import SignedPrices
from app.billing.periods import Period


@dataclass(frozen=True, slots=True)
class EventRange:
    """The events of one grant in one month, by number; an empty range ends before it begins.

    `units` are those settled less those given back, but for `granted_units`, which are rated zero,
    and for `late`: units of earlier months, by month, that were reported in this one.
    """

    first_number: int
    last_number: int
    units: int
    granted_units: int = 0
    late: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BilledContract:
    """What billing needs to know of a contract: who, what, its signed prices, and since when.

    One that `never_began` was ended before its first day: only what was due at signing is due.
    """

    contract_id: str
    grant_id: str
    listing_id: str
    buyer_id: str
    provider_id: str
    terms_sha256: str
    parties: Mapping[str, Any]
    prices: SignedPrices
    first_period: Period
    never_began: bool = False

    @property
    def pair(self) -> tuple[str, str, str]:
        """What one invoice is drawn for: the provider, the buyer and the currency."""
        return self.provider_id, self.buyer_id, self.prices.plan.currency


@dataclass(frozen=True, slots=True)
class ContractMonth:
    """A month of one contract, closed in the usage store, to be put on an invoice.

    One `after_end` holds only calls that settled as the contract ended: no minimum is due in it.
    """

    contract: BilledContract
    period: Period
    events: EventRange
    after_end: bool = False

    @property
    def is_first(self) -> bool:
        """Whether what is due once, at signing, is due in this month."""
        return self.period == self.contract.first_period

    @property
    def owes_minimum(self) -> bool:
        """Whether the contract lived in this month, and with it what it commits to each month."""
        return not (self.after_end or self.contract.never_began)
