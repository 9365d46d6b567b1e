"""A receiver of webhooks that answers what it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import stripe
from aiohttp import web

from app.sandbox.threads import serve_in_thread

SECRET = "whsec_of_the_tests"


class Receiver:
    """Every delivery, verified by the SDK as it comes."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        """Answered in order; 200 when there are none left."""
        self._arrived = threading.Condition()

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The first `count` deliveries; fails when they do not come."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.events) >= count, timeout=10), (
                f"{len(self.events)} of {count} came: {self.kinds()}"
            )
        return self.events[:count]

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        # The double runs on a set clock, the SDK on the machine's: no tolerance here.
        stripe.WebhookSignature.verify_header(
            body, request.headers["Stripe-Signature"], SECRET, tolerance=None
        )
        event = await request.json()
        status = self.statuses.pop(0) if self.statuses else 200
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()
        return web.Response(status=status)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    def make() -> web.Application:
        app = web.Application()
        app.router.add_post("/webhooks/stripe", receiver.receive)
        return app

    with serve_in_thread(make) as server:
        receiver.url = f"{server.url}/webhooks/stripe"
        yield receiver
