"""Shapes of use in the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from app.http.examples import example_id, looks_like
from app.http.schemas import View
from app.kernel.clock import from_epoch_us, from_rfc3339
from app.metering.history.events import EventDocument
from app.metering.usage.forecasting import Forecast
from app.metering.usage.quotas import QuotaUse
from app.metering.usage.sums import Grouping, UsageSum, overall


@looks_like(meter="call", calls=1000)
class MeterSumView(View):
    """Use of one meter."""

    meter: str
    units: int
    calls: int


@looks_like(key="2026-11-02", calls=1000)
class UsageSumView(MeterSumView):
    """Use under one key: a day, a month, a listing or a contract."""

    key: str


@looks_like(group_by="day")
class UsageView(View):
    """Use, summed by `group_by`; days and months are of Asia/Shanghai.

    `totals` are of everything that was asked for, and not of this page alone.
    """

    group_by: str
    items: list[UsageSumView]
    totals: list[MeterSumView]
    next_cursor: str | None = None


@looks_like(outlook="runs_out", exhausts_on="2026-11-25", units_per_day=360)
class ForecastView(View):
    """What becomes of a window at the pace of the last seven whole days and of today so far.

    `outlook`: `exhausted`, `runs_out` (on the day `exhausts_on`, Asia/Shanghai), `lasts` (to its
    end), or `unknown` before a whole day of use could be seen.
    """

    outlook: str
    exhausts_on: date | None
    units_per_day: int | None


@looks_like(
    name="quota-month",
    window="month",
    limit_units=10_000,
    overage="block",
    used_units=1000,
    remaining_units=9000,
    percent=10,
)
class WindowView(View):
    """A quota in its present window; `limit_units` null only counts.

    `percent` of the limit is rounded down. `forecast` is null without a limit, and where no call
    can come: before and after the contract, and while it is suspended.
    """

    name: str
    window: str
    meter: str
    limit_units: int | None
    overage: str
    used_units: int
    remaining_units: int | None
    percent: int | None
    starts_at: datetime
    ends_at: datetime
    forecast: ForecastView | None


class WindowsView(View):
    """Every quota of a contract."""

    contract_id: str
    items: list[WindowView]


@looks_like(source="https://data.provider.example/deliveries", id="delivery-2026-11-02-0001")
class ReportedView(View):
    """Which CloudEvent of its provider a usage event came from, when that use occurred, and the
    number of the event that it took the place of.
    """

    source: str
    id: str
    occurred_at: datetime
    corrects: int | None


@looks_like(id=example_id("evt"), kind="posted", units=1, operation="rows", status=200, bytes=2048)
class UsageEventView(View):
    """One settled call, or (`kind` void) the taking back of number `voids`; `reported` where its
    provider delivered it elsewhere.

    `granted_units` of the units came from unit grants: they count in no window, and cost nothing.

    `request_sha256` is over `METHOD path?query`; where rows or bytes are counted, a newline and
    `name: value` for each header that chooses among answers, sorted; and after two newlines each,
    the 32 bytes of the body's SHA-256 and the Idempotency-Key, where there were any; of a reported
    event, over its content. Whoever reads it may find out by trying what was asked, but not under
    a random key.
    """

    id: str
    grant_id: str
    number: int
    kind: str
    voids: int | None
    settled_at: datetime
    meter: str
    units: int
    granted_units: int
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
    reported: ReportedView | None = None


def usage_view(
    grouping: Grouping, sums: Sequence[UsageSum], every: Sequence[UsageSum], next_cursor: str | None
) -> UsageView:
    """A page of sums as it goes on the wire, with the totals of `every` sum."""
    return UsageView(
        group_by=grouping.value,
        items=[
            UsageSumView(key=one.key, meter=one.meter, units=one.units, calls=one.calls)
            for one in sums
        ],
        totals=[
            MeterSumView(meter=one.meter, units=one.units, calls=one.calls)
            for one in overall(every)
        ],
        next_cursor=next_cursor,
    )


def window_view(use: QuotaUse) -> WindowView:
    """A quota as it goes on the wire."""
    key = use.counter.key
    return WindowView(
        name=use.quota.name,
        window=use.quota.window.value,
        meter=key.meter,
        limit_units=use.quota.limit_units,
        overage=use.quota.overage,
        used_units=use.used_units,
        remaining_units=use.remaining_units,
        percent=use.percent,
        starts_at=from_epoch_us(key.starts_at_us),
        ends_at=from_epoch_us(use.counter.ends_at_us),
        forecast=None if use.forecast is None else _forecast_view(use.forecast),
    )


def _forecast_view(found: Forecast) -> ForecastView:
    return ForecastView(
        outlook=found.outlook.value,
        exhausts_on=found.exhausts_on,
        units_per_day=found.units_per_day,
    )


def event_view(event: EventDocument) -> UsageEventView:
    """An event as it goes on the wire."""
    members = {**event, "settled_at": from_rfc3339(event["settled_at"])}
    if (reported := members.get("reported")) is not None:
        moment = from_rfc3339(reported["occurred_at"])
        members["reported"] = ReportedView(**{**reported, "occurred_at": moment})
    return UsageEventView(id=members.pop("event_id"), **members)
