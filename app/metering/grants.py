"""Grants: what a buyer may call, compiled from the signed terms, and how one call counts in it."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from app.metering.windows import WindowKind, window_bounds

Meter = Literal["call", "row", "byte", "item"]


class Quota(msgspec.Struct, frozen=True):
    """A quota of the plan or the licence; `limit_units` null only counts.

    `block` refuses what does not fit, `charge` lets it pass and bills it.
    """

    name: str
    window: WindowKind
    limit_units: int | None = None
    overage: Literal["block", "charge"] = "block"


class Rate(msgspec.Struct, frozen=True):
    """How fast calls may come: a steady rate and a burst above it."""

    per_second: int
    burst: int


class CompiledGrant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The terms of one grant as the gateway needs them; a newer `epoch` replaces an older one."""

    grant_id: str
    contract_id: str
    listing_id: str
    slug: str
    version_id: str
    buyer_id: str
    provider_id: str
    plan_id: str
    terms_sha256: str
    epoch: int
    live: bool
    reason: str | None = None
    starts_at_us: int
    ends_at_us: int
    delivery: str
    purpose: str
    purposes_allowed: tuple[str, ...]
    channels_allowed: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    row_filter: Any = None
    meter: Meter = "call"
    billable_statuses: tuple[int, ...] | None = None
    windows: tuple[Quota, ...] = ()
    rate: Rate | None = None
    file: dict[str, Any] | None = None
    upstream: dict[str, Any] | None = None

    @property
    def life_us(self) -> tuple[int, int]:
        """The half-open life of the contract."""
        return self.starts_at_us, self.ends_at_us


class CounterKey(NamedTuple):
    """Which counter: the row of `usage_window`."""

    grant_id: str
    meter: str
    kind: str
    starts_at_us: int


@dataclass(frozen=True, slots=True)
class Counter:
    """A window that a call counts in, and the units beyond which it blocks; None never does."""

    key: CounterKey
    ends_at_us: int
    limit_units: int | None

    def holds(self, at_us: int) -> bool:
        """Whether the moment lies in the window."""
        return self.key.starts_at_us <= at_us < self.ends_at_us


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A grant as it binds a call at a moment: its epoch, and the windows around that moment.

    One frame serves every call until the first of its windows ends.
    """

    grant_id: str
    epoch: int
    meter: str
    counters: tuple[Counter, ...]
    starts_at_us: int
    ends_at_us: int

    def holds(self, at_us: int) -> bool:
        """Whether every window of the frame holds the moment."""
        return self.starts_at_us <= at_us < self.ends_at_us


NOT_FRAMED = Frame("", 0, "", (), 0, 0)
"""A frame that holds no moment."""


def compiled_from(document: object) -> CompiledGrant:
    """The grant in a compiled document; raises `msgspec.ValidationError` when it is not one."""
    return msgspec.convert(document, CompiledGrant)


def share_terms(grant: CompiledGrant, alike: MutableMapping[str, CompiledGrant]) -> CompiledGrant:
    """The grant, holding what is equal in it and in another grant on the same version only once.

    `alike` has such a grant for each version, and is kept. A process knows every grant; the file,
    the plan and the rules of a version are most of each.
    """
    other = alike.setdefault(grant.version_id, grant)
    if other is grant:
        return grant
    # As JSON: to Python, true and 1 are equal, and a row filter knows them apart.
    same = {
        name: value
        for name in _SHARED
        if _JSON.encode(value := getattr(other, name)) == _JSON.encode(getattr(grant, name))
    }
    return msgspec.structs.replace(grant, **same)


_JSON = msgspec.json.Encoder()
_SHARED = (
    "listing_id",
    "slug",
    "version_id",
    "provider_id",
    "plan_id",
    "reason",
    "starts_at_us",
    "ends_at_us",
    "delivery",
    "purpose",
    "purposes_allowed",
    "channels_allowed",
    "columns",
    "row_filter",
    "meter",
    "billable_statuses",
    "windows",
    "rate",
    "file",
    "upstream",
)


def frame_at(grant: CompiledGrant, at_us: int) -> Frame:
    """The windows of `grant` around `at_us`; the contract's own is always among them."""
    quotas = {kind: _quotas(grant.windows, kind) for kind in WindowKind}
    counters = []
    for kind, found in quotas.items():
        if not found and kind is not WindowKind.CONTRACT:
            continue
        starts_at_us, ends_at_us = window_bounds(kind, at_us, grant.life_us)
        key = CounterKey(grant.grant_id, grant.meter, kind.value, starts_at_us)
        counters.append(Counter(key, ends_at_us, _blocking_limit(found)))
    return Frame(
        grant.grant_id,
        grant.epoch,
        grant.meter,
        tuple(counters),
        max(counter.key.starts_at_us for counter in counters),
        min(counter.ends_at_us for counter in counters),
    )


def frame_afterwards(grant: CompiledGrant, at_us: int, counts_at_us: int | None = None) -> Frame:
    """The windows around `counts_at_us`, for use that is told of at `at_us`; it counts then unless
    another moment is given. Be the contract over by then: its own window stays open until it has
    counted what was used in it.
    """
    if at_us >= grant.ends_at_us:
        grant = msgspec.structs.replace(grant, ends_at_us=at_us + 1)
    return frame_at(grant, at_us if counts_at_us is None else counts_at_us)


def _quotas(quotas: Sequence[Quota], kind: WindowKind) -> list[Quota]:
    return [quota for quota in quotas if quota.window is kind]


def _blocking_limit(quotas: Sequence[Quota]) -> int | None:
    limits = [
        quota.limit_units
        for quota in quotas
        if quota.overage == "block" and quota.limit_units is not None
    ]
    return min(limits, default=None)
