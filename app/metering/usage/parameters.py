"""Usage parameters: which use is asked for, as one value."""

from __future__ import annotations

from datetime import date

from litestar.params import FromQuery

from app.metering.usage.sums import UsageFilter


def usage_within(
    contract_id: FromQuery[str | None] = None,
    listing_id: FromQuery[str | None] = None,
    first_on: FromQuery[date | None] = None,
    last_on: FromQuery[date | None] = None,
) -> UsageFilter:
    """Of one contract, of one listing, from one day to another, both included."""
    return UsageFilter(contract_id, listing_id, first_on, last_on)
