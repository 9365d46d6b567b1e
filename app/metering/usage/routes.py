"""Use over HTTP: what buyer and provider see of it, from the rows that bill it."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import to_builtins
from sqlmodel import Session

from app.audit.errors import NotYetSealed
from app.audit.verifying import FORMAT, LeafPart, Receipt, SegmentPart
from app.db.installation import Installation
from app.http.describing import JSON
from app.http.documented import Documented, Sample
from app.http.examples import WORDS, example_id
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, MAX_LIMIT
from app.http.schemas import Page
from app.kernel.actor import Actor
from app.kernel.clock import DayOutOfRange
from app.kernel.refusals import RowNotFound
from app.metering.reported.routes import post_reports
from app.metering.units import routes as unit_routes
from app.metering.usage.parameters import usage_within
from app.metering.usage.queries import access_event, list_events
from app.metering.usage.quotas import quota_use
from app.metering.usage.receipts import export_event_receipt
from app.metering.usage.schemas import (
    UsageEventView,
    UsageView,
    WindowsView,
    event_view,
    usage_view,
    window_view,
)
from app.metering.usage.seeing import access_contract_grant
from app.metering.usage.sums import Grouping, UsageFilter, page_of_sums, usage_sums, with_zeros

TAGS = ["Usage"]
READ = needs("usage:read")
WITHIN = {"within": Provide(usage_within, sync_to_thread=False)}
BY_DAYS = {"documented": Documented(refuses=(DayOutOfRange,))}
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)]
EVENT = "/api/v1/usage/events/{event_id:str}"


@get(
    "/api/v1/usage",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    dependencies=WITHIN,
    opt=BY_DAYS,
)
def get_usage(
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    within: NamedDependency[UsageFilter],
    group_by: FromQuery[Grouping] = Grouping.DAY,
    zeros: FromQuery[bool] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> UsageView:
    """Units and calls, by day, month, listing or contract, and what they come to in all.

    Buyer, provider and auditor read the same figures from the same rows. With `zeros` days or
    months without use are there too.
    """
    with installation.usage_transaction(writes=False) as connection:
        sums = usage_sums(connection, actor, within, group_by)
    if zeros:
        sums = with_zeros(sums, group_by, within.first_on, within.last_on)
    shown, next_cursor = page_of_sums(sums, limit=limit, cursor=cursor)
    return usage_view(group_by, shown, sums, next_cursor)


@get(
    "/api/v1/usage/windows",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    opt={"documented": Documented(refuses=(RowNotFound,))},
)
def get_windows(
    contract_id: FromQuery[str],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
) -> WindowsView:
    """Each quota of a contract: its present window, what was used in it, what is left, and how
    long that will last at the present pace.
    """
    now_us = installation.clock.now_us()
    with installation.usage_transaction(writes=False) as connection:
        grant_id = access_contract_grant(connection, actor, contract_id)
        items = [window_view(use) for use in quota_use(connection, grant_id, now_us)]
    return WindowsView(contract_id=contract_id, items=items)


@get(
    "/api/v1/usage/events",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    dependencies=WITHIN,
    opt=BY_DAYS,
)
def get_events(
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    within: NamedDependency[UsageFilter],
    limit: Limit = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[UsageEventView]:
    """Settled calls in the order of their numbers, contract by contract: a gap would show."""
    with installation.usage_transaction(writes=False) as connection:
        events, next_cursor = list_events(connection, actor, within, limit=limit, cursor=cursor)
    return Page(items=[event_view(event) for event in events], next_cursor=next_cursor)


@get(EVENT, sync_to_thread=True, guards=[READ], tags=TAGS)
def get_event(
    event_id: FromPath[str],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
) -> UsageEventView:
    """One settled call: what the header Usage-Receipt names."""
    with installation.usage_transaction(writes=False) as connection:
        return event_view(access_event(connection, actor, event_id))


PROOF = WORDS["proof"]
RECEIPT = Receipt(
    format=FORMAT,
    leaf=LeafPart(body={"kind": "usage:sealed"}, salt=WORDS["salt"], number=7, proof=PROOF),
    checkpoint="zhigu.example.cn/log\n12\n…",
    segment=SegmentPart(event={"event_id": example_id("evt"), "units": 1}, proof=PROOF),
)
RECEIPT_ANSWER = Documented(
    gives={JSON: Sample(to_builtins(RECEIPT), Receipt)},
    answer="The event and its proof, for `zhigu verify`.",
    refuses=(NotYetSealed,),
)


@get(
    f"{EVENT}/receipt",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    opt={"documented": RECEIPT_ANSWER},
)
def get_receipt(
    event_id: FromPath[str],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Response[bytes]:
    """The proof of one call, for `zhigu verify`; 409 `not-yet-sealed` in its first minute."""
    with installation.usage_transaction(writes=False) as connection:
        event = access_event(connection, actor, event_id)
        content = export_event_receipt(session, connection, event)
    return Response(content, media_type="application/json")


ROUTERS = (
    *unit_routes.ROUTERS,
    get_usage,
    get_windows,
    get_events,
    get_event,
    get_receipt,
    post_reports,
)
