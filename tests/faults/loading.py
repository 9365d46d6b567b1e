"""Load from clients that keep a journal: the observers by whom a fault is judged."""

from __future__ import annotations

import asyncio

import aiohttp

CALLERS = 16


class Journal:
    """What a client knows: the receipt that each of its keys was answered with."""

    def __init__(self) -> None:
        self.receipts: dict[str, str] = {}
        self.disagreements: list[str] = []

    def answered(self, key: str, receipt: str) -> None:
        known = self.receipts.setdefault(key, receipt)
        if known != receipt:
            self.disagreements.append(key)


async def call_until_told(
    session: aiohttp.ClientSession, url: str, key: str, journal: Journal, stop: asyncio.Event
) -> None:
    """Call under `key` again and again until it is answered with data."""
    while not stop.is_set():
        try:
            timeout = aiohttp.ClientTimeout(total=5)
            headers = {"Idempotency-Key": key}
            async with session.get(
                f"{url}?observer={key}", headers=headers, timeout=timeout
            ) as answer:
                await answer.read()
                if answer.status == 200:
                    journal.answered(key, answer.headers["Usage-Receipt"])
                    return
                assert answer.status in (401, 403, 503), await answer.text()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            pass
        await asyncio.sleep(0.05)


async def load(url: str, token: str, journal: Journal, prefix: str, ending: asyncio.Event) -> None:
    """Callers that go on to fresh keys until `ending`, and finish the keys they have begun."""
    never = asyncio.Event()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def caller(number: int) -> None:
            turn = 0
            while not ending.is_set():
                turn += 1
                await call_until_told(session, url, f"{prefix}-{number}-{turn}", journal, never)

        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
