"""Running: a double in a thread, for tests and for whoever wants one beside them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app.sandbox.stripe_double.accounts import finish_onboarding
from app.sandbox.stripe_double.checkout import complete_session, find_session
from app.sandbox.stripe_double.disputes import close_dispute, open_dispute
from app.sandbox.stripe_double.double import DoubleOptions, StripeDouble
from app.sandbox.stripe_double.faults import Fault, FaultKind
from app.sandbox.stripe_double.payouts import settle_payout
from app.sandbox.stripe_double.server import make_app
from app.sandbox.stripe_double.webhooks import SignedWebhook
from app.sandbox.stripe_double.world import Json, World
from app.sandbox.threads import ThreadServer, serve_in_thread


@dataclass(frozen=True, eq=False)
class RunningDouble:
    """A double that runs, with what one may do to it from another thread."""

    server: ThreadServer
    double: StripeDouble

    @property
    def url(self) -> str:
        """The base address for the SDK."""
        return self.server.url

    def fail(self, kind: FaultKind, path: str = "/v1/", **facts: Any) -> None:
        """Let the next POST under `path` fail; `facts` as in `Fault`."""
        self.server.run(lambda: self.double.faults.add(Fault(kind, path, **facts)))

    def requests(self, path: str = "/v1/", method: str = "POST") -> list[Json]:
        """What was asked of the double, oldest first."""
        return [
            entry
            for entry in self.server.run(lambda: list(self.double.answering.journal))
            if entry["method"] == method and entry["path"].startswith(path)
        ]

    def all_of(self, kind: str, owner: str = "") -> list[Json]:
        """A copy of every object of a kind, oldest first."""
        found = self.server.run(lambda: copy.deepcopy(list(self.double.world.all_of(kind, owner))))
        return found[::-1]

    def take_webhooks(self) -> list[SignedWebhook]:
        """The webhooks that wait, signed now: for a double without a webhook URL."""
        return self.server.run(self.double.deliverer.take)

    def pay(self, session_id: str, decline: str | None = None) -> None:
        """Do what the buyer does on the checkout page."""

        def complete(world: World) -> None:
            complete_session(world, find_session(world, session_id), decline)

        self._change(complete)

    def onboard(self, account_id: str) -> None:
        """Do what the provider does behind an account link."""
        self._change(lambda world: finish_onboarding(world, account_id))

    def open_dispute(self, charge_id: str, reason: str = "general") -> str:
        """A buyer disputes a charge; the dispute's id."""
        dispute = self._change(
            lambda world: open_dispute(world, world.find("charge", charge_id), reason)
        )
        return str(dispute["id"])

    def close_dispute(self, dispute_id: str, outcome: str) -> None:
        """The bank decides for one side: `won` or `lost`."""
        self._change(lambda world: close_dispute(world, world.find("dispute", dispute_id), outcome))

    def settle_payout(self, payout_id: str, outcome: str) -> None:
        """The bank takes a payout (`paid`) or sends it back (`failed`)."""
        self._change(lambda world: settle_payout(world, world.memory.objects[payout_id], outcome))

    def distort(self, object_id: str, **facts: Any) -> None:
        """Let an object say what is not so (another amount, another currency)."""
        self._change(lambda world: world.memory.objects[object_id].update(facts))

    def _change(self, what: Any) -> Any:
        return self.server.run(lambda: self.double.change(what))


@contextmanager
def running_double(options: DoubleOptions | None = None) -> Iterator[RunningDouble]:
    """A double on a free port of this machine, until the block ends."""
    made: list[StripeDouble] = []

    def make() -> web.Application:
        made.append(StripeDouble(options or DoubleOptions()))
        return make_app(made[0])

    with serve_in_thread(make) as server:
        double = made[0]
        double.world.base_url = server.url
        yield RunningDouble(server, double)
