"""Load from clients that keep a journal: the observers by whom a fault is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

CALLERS = 16
PAUSE_S = 0.05
SPENT = "urn:zhigu:problem:idempotency-key-spent"
EXHAUSTED = "urn:zhigu:problem:quota-exhausted"
Where = str | Callable[[], str]
"""Where to call: a URL, or what says for each call which."""


class Journal:
    """What a client knows: the receipt that each of its keys was answered with.

    `spent` are keys whose data were cut off again and again: each was counted once, and the policy
    gives them no more. `refused` are those that found no room. `overdue` counts calls that nobody
    answered in time, `broken` those whose connection broke or was refused.
    """

    def __init__(self) -> None:
        self.receipts: dict[str, str] = {}
        self.disagreements: list[str] = []
        self.spent: set[str] = set()
        self.refused: set[str] = set()
        self.statuses: set[int] = set()
        self.overdue = self.broken = 0
        self.answered_at_s: list[float] = []

    def answered(self, key: str, receipt: str) -> None:
        self.answered_at_s.append(time.monotonic())
        known = self.receipts.setdefault(key, receipt)
        if known != receipt:
            self.disagreements.append(key)

    def silence_after(self, at_s: float) -> float:
        """How long it took from `at_s` until somebody was answered with data again."""
        return next(moment for moment in self.answered_at_s if moment > at_s) - at_s

    def told(self, key: str, status: int, receipt: str | None, problem: str) -> bool:
        """Note an answer; whether it was the last word about the key."""
        self.statuses.add(status)
        if status == 200:
            assert receipt, "data come with a receipt"
            self.answered(key, receipt)
        elif problem == SPENT:
            self.spent.add(key)
        elif problem == EXHAUSTED:
            self.refused.add(key)
        else:
            assert status in (401, 403, 502, 503, 504), (status, problem)
            return False
        return True


async def call_until_told(
    session: aiohttp.ClientSession,
    where: Where,
    key: str,
    journal: Journal,
    pause_s: float = PAUSE_S,
) -> None:
    """Call under `key` again and again until it is answered with data, or never will be."""
    while True:
        try:
            timeout = aiohttp.ClientTimeout(total=20)
            headers = {"Idempotency-Key": key}
            url = where if isinstance(where, str) else where()
            async with session.get(
                f"{url}?observer={key}", headers=headers, timeout=timeout
            ) as answer:
                await answer.read()
                is_data = answer.status == 200
                problem = "" if is_data else (await answer.json(content_type=None))["type"]
                receipt = answer.headers.get("Usage-Receipt")
                if journal.told(key, answer.status, receipt, problem):
                    return
        except TimeoutError:
            journal.overdue += 1
        except (aiohttp.ClientError, ConnectionError):
            journal.broken += 1
        await asyncio.sleep(pause_s)


async def load(
    where: Where,
    token: str,
    journal: Journal,
    prefix: str,
    ending: asyncio.Event,
    pause_s: float = PAUSE_S,
) -> None:
    """Callers that go on to fresh keys until `ending`, and finish the keys they have begun."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def caller(number: int) -> None:
            turn = 0
            while not ending.is_set():
                turn += 1
                key = f"{prefix}-{number}-{turn}"
                await call_until_told(session, where, key, journal, pause_s)

        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
