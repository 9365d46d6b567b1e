"""A circuit breaker per listing: an upstream that keeps failing is left alone for a while."""

from __future__ import annotations

import math
from dataclasses import dataclass

FAILURES_TO_OPEN = 5
OPEN_MIN_S = 1.0
OPEN_MAX_S = 30.0


@dataclass(slots=True)
class Breaker:
    """Closed while calls succeed. After failures in a row it opens; then one call at a time probes.

    Each failed probe doubles the wait up to `OPEN_MAX_S`; one success closes it. Moments are
    monotonic seconds given by the caller.
    """

    failures: int = 0
    open_until_s: float = 0.0
    probing: bool = False

    def wait_s(self, now_s: float) -> int | None:
        """Whole seconds to wait before the next call, or None when one may start now."""
        if self.failures < FAILURES_TO_OPEN:
            return None
        if now_s < self.open_until_s:
            return max(1, math.ceil(self.open_until_s - now_s))
        return 1 if self.probing else None

    def start(self) -> None:
        """A call that `wait_s` let through begins."""
        self.probing = self.failures >= FAILURES_TO_OPEN

    def succeed(self) -> None:
        """A call got an answer."""
        self.failures, self.probing = 0, False

    def fail(self, now_s: float) -> None:
        """A call got none."""
        if self.failures >= FAILURES_TO_OPEN and not self.probing:
            return  # it was under way when the breaker opened: one break counts once
        self.failures, self.probing = self.failures + 1, False
        if self.failures >= FAILURES_TO_OPEN:
            doublings = min(self.failures - FAILURES_TO_OPEN, 10)
            self.open_until_s = now_s + min(OPEN_MIN_S * 2**doublings, OPEN_MAX_S)

    def abandon(self) -> None:
        """A call ended without telling anything, such as by its buyer hanging up."""
        self.probing = False
