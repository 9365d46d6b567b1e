"""Shapes of use in the API."""

from __future__ import annotations

from datetime import datetime

from app.http.examples import example_id, looks_like
from app.http.schemas import View
from app.kernel.clock import from_epoch_us, from_rfc3339
from app.metering.events import EventDocument
from app.metering.queries import QuotaUse, UsageSum


@looks_like(key="2026-11-02", calls=1000)
class UsageSumView(View):
    """Use under one key: a day, a month, a listing or a contract."""

    key: str
    meter: str
    units: int
    calls: int


@looks_like(group_by="day")
class UsageView(View):
    """Use, summed by `group_by`; days and months are of Asia/Shanghai."""

    group_by: str
    items: list[UsageSumView]


@looks_like(
    name="quota-month",
    window="month",
    limit_units=10_000,
    overage="block",
    used_units=1000,
    remaining_units=9000,
)
class WindowView(View):
    """A quota in its present window; `limit_units` null only counts."""

    name: str
    window: str
    meter: str
    limit_units: int | None
    overage: str
    used_units: int
    remaining_units: int | None
    starts_at: datetime
    ends_at: datetime


class WindowsView(View):
    """Every quota of a contract."""

    contract_id: str
    items: list[WindowView]


@looks_like(id=example_id("evt"), kind="posted", units=1, operation="rows", status=200, bytes=2048)
class UsageEventView(View):
    """One settled call, or (`kind` void) the taking back of number `voids`."""

    id: str
    grant_id: str
    number: int
    kind: str
    voids: int | None
    settled_at: datetime
    meter: str
    units: int
    operation: str
    status: int
    bytes: int
    request_sha256: str
    contract_id: str
    listing_id: str
    buyer_id: str
    provider_id: str
    plan_id: str
    terms_sha256: str


def sum_view(found: UsageSum) -> UsageSumView:
    """A sum as it goes on the wire."""
    return UsageSumView(key=found.key, meter=found.meter, units=found.units, calls=found.calls)


def window_view(use: QuotaUse) -> WindowView:
    """A quota as it goes on the wire."""
    limit = use.quota.limit_units
    return WindowView(
        name=use.quota.name,
        window=use.quota.window.value,
        meter=use.meter,
        limit_units=limit,
        overage=use.quota.overage,
        used_units=use.used_units,
        remaining_units=None if limit is None else max(0, limit - use.used_units),
        starts_at=from_epoch_us(use.counter.key.starts_at_us),
        ends_at=from_epoch_us(use.counter.ends_at_us),
    )


def event_view(event: EventDocument) -> UsageEventView:
    """An event as it goes on the wire."""
    members = {**event, "settled_at": from_rfc3339(event["settled_at"])}
    return UsageEventView(id=members.pop("event_id"), **members)
