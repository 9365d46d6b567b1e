"""Questions about use: sums, windows, events. Buyer, provider and auditor read the same rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import sqlalchemy as sa

from app.accounts.roles import Role, has_role
from app.http.paging import decode_cursor, encode_cursor
from app.kernel.actor import Actor, ActorKind
from app.kernel.refusals import Malformed, RowNotFound
from app.metering.events import EVENTS, EventDocument, event_document
from app.metering.granting import load_grant
from app.metering.grants import Counter, Quota, frame_at
from app.metering.tables import grant_state, usage_event, usage_window
from app.metering.windows import WindowKind

NOT_FOUND = "There is no such thing, or it is not yours."
DAY_US = 24 * 3600 * 1_000_000
# Asia/Shanghai has had no summer time since 1991: its days are whole days of a shifted clock.
SHANGHAI_US = 8 * 3600 * 1_000_000
EPOCH = date(1970, 1, 1)
UNLIMITED = Quota("unlimited", WindowKind.CONTRACT)


class Grouping(StrEnum):
    """What use is summed by."""

    DAY = "day"
    MONTH = "month"
    LISTING = "listing"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which use: of one contract, of one listing, settled in a half-open stretch of time."""

    contract_id: str | None = None
    listing_id: str | None = None
    from_us: int | None = None
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Units and calls of one meter; what was taken back is taken off, when it was taken back."""

    key: str
    meter: str
    units: int
    calls: int


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A quota as it stands: its window around now, and what was used in it."""

    quota: Quota
    counter: Counter
    meter: str
    used_units: int


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """The condition on `grant_state` for the grants whose use `actor` may see: its two sides."""
    if actor.kind in {ActorKind.JOB, ActorKind.OPERATOR} or has_role(
        actor, Role.ADMIN, Role.AUDITOR
    ):
        return sa.true()
    own = actor.organisation_id
    return sa.or_(grant_state.c.buyer_id == own, grant_state.c.provider_id == own)


def usage_sums(
    connection: sa.Connection, actor: Actor, wanted: UsageFilter, grouping: Grouping
) -> Sequence[UsageSum]:
    """What the actor may see of use, summed; keys are days, months, listings or contracts."""
    key: sa.ColumnElement[int] | sa.ColumnElement[str] = {
        Grouping.LISTING: grant_state.c.listing_id,
        Grouping.CONTRACT: grant_state.c.contract_id,
    }.get(grouping, (usage_event.c.settled_at_us + SHANGHAI_US) // DAY_US)
    void = usage_event.c.kind == "void"
    rows = connection.execute(
        sa.select(
            key.label("key"),
            usage_event.c.meter,
            sa.func.sum(sa.case((void, -usage_event.c.units), else_=usage_event.c.units)),
            sa.func.sum(sa.case((void, -1), else_=1)),
        )
        .join(grant_state, grant_state.c.grant_id == usage_event.c.grant_id)
        .where(visible_to(actor), *_conditions(wanted))
        .group_by(sa.text("1"), usage_event.c.meter)
    )
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for found, meter, units, calls in rows:
        total = totals[_key_text(found, grouping), meter]
        total[0] += int(units)
        total[1] += int(calls)
    return [UsageSum(*name, *total) for name, total in sorted(totals.items())]


def access_contract_grant(connection: sa.Connection, actor: Actor, contract_id: str) -> str:
    """The grant of a contract whose use the actor may see; else `RowNotFound`."""
    found = connection.execute(
        sa.select(grant_state.c.grant_id).where(
            grant_state.c.contract_id == contract_id, visible_to(actor)
        )
    ).scalar_one_or_none()
    if found is None:
        raise RowNotFound(NOT_FOUND)
    return str(found)


def quota_use(connection: sa.Connection, grant_id: str, at_us: int) -> Iterator[QuotaUse]:
    """Each quota of the grant as it stands at `at_us`; a grant without any counts all the same."""
    grant = load_grant(connection, grant_id)
    assert grant is not None, "a grant that was accessed is there"
    frame = frame_at(grant, min(max(at_us, grant.starts_at_us), grant.ends_at_us - 1))
    rows = connection.execute(
        sa.select(usage_window).where(
            usage_window.c.grant_id == grant_id, usage_window.c.ends_at_us > frame.starts_at_us
        )
    )
    used = {tuple(row[:4]): row.used_units for row in rows}
    for quota in grant.windows or (UNLIMITED,):
        counter = next(one for one in frame.counters if one.key.kind == quota.window.value)
        yield QuotaUse(quota, counter, grant.meter, used.get(tuple(counter.key), 0))


def access_event(connection: sa.Connection, actor: Actor, event_id: str) -> EventDocument:
    """An event that the actor may see; else `RowNotFound`."""
    row = connection.execute(
        EVENTS.where(usage_event.c.event_id == event_id, visible_to(actor))
    ).one_or_none()
    if row is None:
        raise RowNotFound(NOT_FOUND)
    return event_document(row)


def list_events(
    connection: sa.Connection, actor: Actor, wanted: UsageFilter, *, limit: int, cursor: str | None
) -> tuple[list[EventDocument], str | None]:
    """A stretch of the events that the actor may see, by grant and number, and the next cursor."""
    statement = EVENTS.where(visible_to(actor), *_conditions(wanted))
    if cursor is not None:
        grant_id, number = _place(cursor)
        statement = statement.where(
            sa.or_(
                usage_event.c.grant_id > grant_id,
                sa.and_(usage_event.c.grant_id == grant_id, usage_event.c.number > number),
            )
        )
    rows = connection.execute(
        statement.order_by(usage_event.c.grant_id, usage_event.c.number).limit(limit + 1)
    ).all()
    shown = rows[:limit]
    more = len(rows) > limit
    next_cursor = encode_cursor(f"{shown[-1].grant_id}:{shown[-1].number}") if more else None
    return [event_document(row) for row in shown], next_cursor


def _conditions(wanted: UsageFilter) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if wanted.contract_id is not None:
        conditions.append(grant_state.c.contract_id == wanted.contract_id)
    if wanted.listing_id is not None:
        conditions.append(grant_state.c.listing_id == wanted.listing_id)
    if wanted.from_us is not None:
        conditions.append(usage_event.c.settled_at_us >= wanted.from_us)
    if wanted.until_us is not None:
        conditions.append(usage_event.c.settled_at_us < wanted.until_us)
    return conditions


def _key_text(found: object, grouping: Grouping) -> str:
    if not isinstance(found, int):
        return str(found)
    day = (EPOCH + timedelta(days=found)).isoformat()
    return day[:7] if grouping is Grouping.MONTH else day


def _place(cursor: str) -> tuple[str, int]:
    grant_id, _, number = decode_cursor(cursor).partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18) or "\0" in grant_id:
        raise Malformed("This cursor was not given out here.")
    return grant_id, int(number)
