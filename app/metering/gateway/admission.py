"""Admission: whether a call may be made, decided from memory alone.

What is known here of counters is only a cheap early no; settling is the authority.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from app.kernel.clock import from_epoch_us, rfc3339
from app.kernel.refusals import Refusal
from app.metering.errors import (
    ChannelNotAllowed,
    ContractUnclear,
    GrantSuspended,
    NoGrant,
    PurposeNotAllowed,
    QuotaExhausted,
    RateLimited,
)
from app.metering.gateway.rates import HeaderPair, LimitHeaders, RateGate
from app.metering.grants import NOT_FRAMED, CompiledGrant, Frame, frame_at, share_terms
from app.metering.hosted import HostedGrant, hosted_grant_of
from app.metering.upstream import Upstream, upstream_of

ASK_EVERY_S = 1.0
NO_GRANT = "No contract of yours opens this data now."


class OpenGrant:
    """A grant in a worker's memory: its terms, the windows of this moment, and what is under way.

    A newer epoch comes as a new object, so that a call keeps the terms that it was admitted by.
    """

    __slots__ = (
        "_blocking",
        "_gate",
        "_hosted",
        "_upstream",
        "frame",
        "grant",
        "granted_left",
        "in_flight_units",
        "known_at_s",
        "limits",
        "used_units",
    )

    def __init__(self, grant: CompiledGrant, workers: int = 1) -> None:
        self.grant = grant
        self.in_flight_units = 0
        self._gate = None if grant.rate is None else RateGate(grant.rate, workers)
        self._hosted: HostedGrant | None = None
        self._upstream: Upstream | None = None
        # Most grants are idle: what a call needs beside the terms is made when the first one comes.
        self.frame = NOT_FRAMED

    def frame_for(self, at_us: int) -> Frame:
        """The windows around the moment."""
        if not self.frame.holds(at_us):
            self._frame_anew(at_us)
        return self.frame

    def _frame_anew(self, at_us: int) -> None:
        self.frame = frame_at(self.grant, at_us)
        self.limits = LimitHeaders(self.grant, self.frame)
        self._blocking = tuple(
            (place, counter.limit_units)
            for place, counter in enumerate(self.frame.counters)
            if counter.limit_units is not None
        )
        self.used_units: Sequence[int] = (0,) * len(self.frame.counters)
        self.granted_left = 0
        self.known_at_s = 0.0

    def learn(self, used_units: Sequence[int], granted_left: int) -> None:
        """Take in what the store says of the present frame's counters and of unit grants."""
        self.used_units = used_units
        self.granted_left = granted_left
        self.known_at_s = time.monotonic()

    def begin_asking(self) -> bool:
        """Whether the counters known here are so old that the store should be asked; once a second
        for all callers together.
        """
        now_s = time.monotonic()
        if now_s - self.known_at_s < ASK_EVERY_S:
            return False
        self.known_at_s = now_s
        return True

    @property
    def hosted(self) -> HostedGrant:
        """The file, columns and rows that it opens."""
        if self._hosted is None:
            self._hosted = hosted_grant_of(self.grant)
        return self._hosted

    @property
    def upstream(self) -> Upstream:
        """The provider's API that it opens."""
        if self._upstream is None:
            assert self.grant.upstream is not None
            self._upstream = upstream_of(self.grant.upstream, self.grant.provider_id)
        return self._upstream

    def refuse_terms(self, channel: str, purpose: str | None, at_us: int) -> None:
        """Raise unless the grant is live at `at_us` and allows the channel and the purpose."""
        grant = self.grant
        if not grant.live:
            if grant.reason == "suspended":
                raise GrantSuspended("The contract is suspended.", contract_id=grant.contract_id)
            raise NoGrant(NO_GRANT, contract_id=grant.contract_id, reason=grant.reason)
        if not grant.starts_at_us <= at_us < grant.ends_at_us:
            reason = "not-started" if at_us < grant.starts_at_us else "expired"
            raise NoGrant(NO_GRANT, contract_id=grant.contract_id, reason=reason)
        if channel not in grant.channels_allowed:
            raise ChannelNotAllowed(
                "The contract does not allow this way of delivery.",
                channel=channel,
                channels_allowed=list(grant.channels_allowed),
            )
        stated = purpose is None or purpose == grant.purpose
        if not stated or grant.purpose not in grant.purposes_allowed:
            raise PurposeNotAllowed(
                "The data may be used for the purpose of the contract only.",
                purpose=grant.purpose if purpose is None else purpose,
                purposes_allowed=[grant.purpose]
                if grant.purpose in grant.purposes_allowed
                else list(grant.purposes_allowed),
            )

    def has_room(self, units: int) -> bool:
        """Whether, as far as is known here, `units` more would fit beside what is under way."""
        wanted = self.in_flight_units + units - self.granted_left
        if wanted <= 0:
            return True
        for place, limit_units in self._blocking:
            if self.used_units[place] + wanted > limit_units:
                return False
        return True

    def refuse_rate(self) -> None:
        """Raise unless a call may come now by the plan's rate; else count it."""
        if self._gate is None:
            return
        if wait_s := self._gate.take(time.monotonic()):
            raise RateLimited(
                "Calls come faster than the plan allows.",
                headers=_headers(self.limits.paused(wait_s), math.ceil(wait_s)),
                retry_after_s=math.ceil(wait_s),
            )

    def exhausted(self, at_us: int, units: int) -> Refusal:
        """The refusal of a call of `units` that does not fit."""
        counted = max(0, units - self.granted_left)
        full = [
            (counter, used)
            for counter, used in zip(self.frame.counters, self.used_units, strict=True)
            if counter.limit_units is not None and used + counted > counter.limit_units
        ]
        ends = [counter.ends_at_us for counter, _ in full if counter.key.kind != "contract"]
        # A contract's own quota does not come back: then there is nothing to wait for.
        renews = bool(full) and len(ends) == len(full)
        wait_s = math.ceil((max(ends) - at_us) / 1_000_000) if renews else None
        return QuotaExhausted(
            "The quota of the contract has no room for this call.",
            headers=_headers(self.limits.after(self.used_units, self.granted_left, at_us), wait_s),
            contract_id=self.grant.contract_id,
            windows=[
                {
                    "window": counter.key.kind,
                    "limit_units": counter.limit_units,
                    "used_units": used,
                    "ends_at": rfc3339(from_epoch_us(counter.ends_at_us)),
                }
                for counter, used in full
            ],
        )


class GrantBook:
    """Every grant that the usage store knows, by buyer and listing."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._by_id: dict[str, OpenGrant] = {}
        self._by_listing: dict[tuple[str, str], list[OpenGrant]] = {}
        self._alike: dict[str, CompiledGrant] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def put(self, grant: CompiledGrant) -> None:
        """Take in a grant; an epoch that is not newer than the one here changes nothing, unless
        its credential has been sealed anew since.
        """
        known = self._by_id.get(grant.grant_id)
        if known is not None:
            newer = grant.epoch - known.grant.epoch
            if newer < 0 or (newer == 0 and grant.upstream == known.grant.upstream):
                return
            self._by_listing[known.grant.buyer_id, known.grant.slug].remove(known)
            if newer == 0 and self._alike[grant.version_id].upstream != grant.upstream:
                del self._alike[grant.version_id]
        opened = OpenGrant(share_terms(grant, self._alike), self._workers)
        self._by_id[grant.grant_id] = opened
        self._by_listing.setdefault((grant.buyer_id, grant.slug), []).append(opened)

    def replace_all(self, grants: Iterable[CompiledGrant]) -> None:
        """Forget everything and take in `grants`: the store was restored, or we were away long."""
        self._by_id.clear()
        self._by_listing.clear()
        self._alike.clear()
        for grant in grants:
            self.put(grant)

    def get(self, grant_id: str) -> OpenGrant | None:
        """The grant with this id."""
        return self._by_id.get(grant_id)

    def find(
        self, buyer_id: str, slug: str, contract_id: str | None, at_us: int
    ) -> OpenGrant | None:
        """The grant that a call counts under; None when the buyer never had one.

        With several contracts that are open now the caller must name one: `ContractUnclear`.
        """
        found = self._by_listing.get((buyer_id, slug))
        if not found:
            return None
        if contract_id is not None:
            return next((one for one in found if one.grant.contract_id == contract_id), None)
        if len(found) == 1:
            return found[0]
        open_now = [
            one
            for one in found
            if one.grant.live and one.grant.starts_at_us <= at_us < one.grant.ends_at_us
        ]
        if len(open_now) > 1:
            raise ContractUnclear(
                "Several contracts open this data: name one in the header Contract.",
                contract_ids=sorted(one.grant.contract_id for one in open_now),
            )
        if open_now:
            return open_now[0]
        return next((one for one in found if one.grant.reason == "suspended"), found[-1])


def _headers(pairs: Iterable[HeaderPair], retry_after_s: int | None) -> dict[str, str]:
    headers = {name.decode(): value.decode() for name, value in pairs}
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    return headers
