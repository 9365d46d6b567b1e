"""Rates: how fast calls may come (GCRA), and the RateLimit headers. Not durable, never billing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.metering.grants import CompiledGrant, Frame, Rate

HeaderPair = tuple[bytes, bytes]

_UNIT = {"call": "requests", "row": "rows", "byte": "content-bytes", "item": "items"}


class RateGate:
    """Lets calls through at a steady rate with a burst; one gate per grant and worker process.

    The generic cell rate algorithm: `_due_s` is when the next call would come if all came evenly.
    """

    __slots__ = ("_due_s", "_interval_s", "_slack_s")

    def __init__(self, rate: Rate, workers: int) -> None:
        self._interval_s = workers / rate.per_second
        # A burst is shared by the workers too, but each must be able to serve one call.
        self._slack_s = (max(1.0, rate.burst / workers) - 1) * self._interval_s
        self._due_s = 0.0

    def take(self, now_s: float) -> float:
        """Count a call that comes now; 0. Else how long until one may come, and count nothing."""
        due_s = self._due_s
        if due_s <= now_s:
            self._due_s = now_s + self._interval_s
            return 0.0
        wait_s = due_s - self._slack_s - now_s
        if wait_s > 0:
            return wait_s
        self._due_s = due_s + self._interval_s
        return 0.0


class LimitHeaders:
    """The RateLimit headers of one frame (draft-ietf-httpapi-ratelimit-headers-10).

    Only quotas that block are limits; a quota whose overage is charged is not one.
    """

    __slots__ = ("_limits", "policy")

    def __init__(self, grant: CompiledGrant, frame: Frame) -> None:
        places = {counter.key.kind: place for place, counter in enumerate(frame.counters)}
        self._limits: list[tuple[bytes, int, int, int]] = []
        policies = []
        for quota in grant.windows:
            if quota.overage != "block" or quota.limit_units is None:
                continue
            place = places[quota.window.value]
            counter = frame.counters[place]
            length_s = (counter.ends_at_us - counter.key.starts_at_us) // 1_000_000
            unit = _UNIT[grant.meter]
            policies.append(f'"{quota.name}";q={quota.limit_units};qu="{unit}";w={length_s}')
            name = quota.name.encode()
            self._limits.append((name, quota.limit_units, place, counter.ends_at_us))
        if grant.rate is not None:
            policies.append(f'"rate";q={grant.rate.per_second};qu="requests";w=1')
        self.policy: HeaderPair | None = None
        if policies:
            self.policy = (b"ratelimit-policy", ", ".join(policies).encode())

    def after(
        self, used_units: Sequence[int], granted_left: int, at_us: int
    ) -> tuple[HeaderPair, ...]:
        """The headers of an answer that leaves the frame's counters at `used_units`, and
        `granted_left` units beside them.
        """
        if self.policy is None:
            return ()
        if not self._limits:
            return (self.policy,)
        items = [
            b'"%b";r=%d;t=%d'
            % (
                name,
                max(0, limit - used_units[place]) + granted_left,
                (ends_at_us - at_us) // 1_000_000,
            )
            for name, limit, place, ends_at_us in self._limits
        ]
        return (self.policy, (b"ratelimit", b", ".join(items)))

    def paused(self, wait_s: float) -> tuple[HeaderPair, ...]:
        """The headers of a refusal because calls come too fast."""
        assert self.policy is not None
        return (self.policy, (b"ratelimit", f'"rate";r=0;t={math.ceil(wait_s)}'.encode()))
