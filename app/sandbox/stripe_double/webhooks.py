"""Webhooks: signed deliveries of events, at least once, with a bounded number of attempts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from app.sandbox.stripe_double.faults import Faults
from app.sandbox.stripe_double.world import Json, World

RETRY_DELAYS_S = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600, 3600)
TIMEOUT_S = 10.0
LOG_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class SignedWebhook:
    """A delivery: the exact body and its `Stripe-Signature` header."""

    body: bytes
    signature: str


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where webhooks go; without a URL they wait until they are taken."""

    url: str | None
    secret: str
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S


class Deliverer:
    """Sends what waits in the world's memory, oldest first."""

    def __init__(self, world: World, faults: Faults, target: WebhookTarget) -> None:
        self._world = world
        self._faults = faults
        self._target = target
        self._wake = asyncio.Event()
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)

    def wake(self) -> None:
        """Look for something to deliver now."""
        self._wake.set()

    def resend(self, event: Json) -> None:
        """Deliver an event again."""
        self._world.memory.deliveries.append({"event": event["id"], "attempts": 0})
        self.wake()

    def hold(self) -> None:
        """Keep webhooks back until they are released."""
        self._faults.webhooks_held = True

    def release(self, *, newest_first: bool = False) -> None:
        """Deliver what was held, in order or in reverse."""
        if newest_first:
            self._world.memory.deliveries.reverse()
        self._faults.webhooks_held = False
        self.wake()

    def take(self) -> list[SignedWebhook]:
        """Everything that waits, signed; it is not delivered otherwise."""
        waiting = list(self._world.memory.deliveries)
        self._world.memory.deliveries.clear()
        return [self._signed(delivery) for delivery in waiting]

    async def run(self) -> None:
        """Deliver for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                self._wake.clear()
                wait_s = await self._deliver_due(session)
                try:
                    await asyncio.wait_for(self._wake.wait(), wait_s)
                except TimeoutError:
                    continue

    async def _deliver_due(self, session: aiohttp.ClientSession) -> float | None:
        """Attempt what is due; seconds until something else is, None when nothing waits."""
        if self._target.url is None or self._faults.webhooks_held:
            return None
        loop = asyncio.get_running_loop()
        for delivery in list(self._world.memory.deliveries):
            if delivery.get("due", 0) <= loop.time() and not self._faults.webhooks_held:
                await self._deliver(session, self._target.url, delivery)
        due = [delivery.get("due", 0) for delivery in self._world.memory.deliveries]
        return max(0.0, min(due) - loop.time()) if due else None

    async def _deliver(self, session: aiohttp.ClientSession, url: str, delivery: Json) -> None:
        copies = self._faults.copies_of_next_webhook() if not delivery["attempts"] else 1
        statuses = [await self._send(session, url, delivery) for _ in range(copies)]
        delivery["attempts"] += 1
        taken = all(200 <= status < 300 for status in statuses)
        if taken or delivery["attempts"] > len(self._target.retry_delays_s):
            if delivery in self._world.memory.deliveries:
                self._world.memory.deliveries.remove(delivery)
            return
        delay_s = self._target.retry_delays_s[delivery["attempts"] - 1]
        delivery["due"] = asyncio.get_running_loop().time() + delay_s

    async def _send(self, session: aiohttp.ClientSession, url: str, delivery: Json) -> int:
        signed = self._signed(delivery)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signed.signature,
            "User-Agent": "Stripe/1.0 (sandbox double)",
        }
        try:
            async with session.post(
                url, data=signed.body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        kind = self._world.memory.objects[delivery["event"]]["type"]
        self.log.append({"event": delivery["event"], "type": kind, "status": status})
        return status

    def _signed(self, delivery: Json) -> SignedWebhook:
        event = self._world.memory.objects[delivery["event"]]
        return sign_webhook(
            json.dumps(event, ensure_ascii=False, indent=2).encode(),
            self._target.secret,
            self._world.now_s(),
        )


def sign_webhook(body: bytes, secret: str, at_s: int) -> SignedWebhook:
    """`body` signed as Stripe signs: HMAC-SHA256 over the time and the body."""
    signature = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return SignedWebhook(body, f"t={at_s},v1={signature.hexdigest()}")
