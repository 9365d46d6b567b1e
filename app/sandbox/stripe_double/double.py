"""The double itself: the world, its answers, faults and webhooks, held together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.kernel.clock import Clock, SystemClock
from app.sandbox.stripe_double.answering import Answering, WireAnswer, WireRequest
from app.sandbox.stripe_double.faults import Faults
from app.sandbox.stripe_double.snapshots import load_memory, save_memory
from app.sandbox.stripe_double.webhooks import RETRY_DELAYS_S, Deliverer, WebhookTarget
from app.sandbox.stripe_double.world import Memory, Rules, World

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DoubleOptions:
    """How a double is set up."""

    webhook_url: str | None = None
    """None: webhooks wait until they are taken."""
    webhook_secret: str = "whsec_sandbox"  # noqa: S105 - of tests; the sandbox generates its own
    state_file: Path | None = None
    rules: Rules = field(default_factory=Rules)
    clock: Clock = field(default_factory=SystemClock)
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S


class StripeDouble:
    """One pretended Stripe; everything of it runs on one event loop, so one thing at a time."""

    def __init__(self, options: DoubleOptions) -> None:
        self._state_file = options.state_file
        memory = load_memory(options.state_file) if options.state_file else Memory()
        self.world = World(options.clock, options.rules, memory)
        self.faults = Faults()
        self.answering = Answering(self.world, self.faults)
        target = WebhookTarget(options.webhook_url, options.webhook_secret, options.retry_delays_s)
        self.deliverer = Deliverer(self.world, self.faults, target)

    async def answer(self, request: WireRequest) -> WireAnswer:
        """Answer a call of Stripe's API; what it changed is saved before."""
        answer = await self.answering.answer(request)
        if request.method == "POST":
            self._changed()
        return answer

    def change(self, what: Callable[[World], T]) -> T:
        """Let something happen that no API call does (a buyer pays, a bank decides)."""
        try:
            return what(self.world)
        finally:
            self._changed()

    def save(self) -> None:
        """Write the snapshot, if there is a file for it."""
        if self._state_file is not None:
            save_memory(self.world.memory, self._state_file)

    def _changed(self) -> None:
        self.save()
        self.deliverer.wake()
