"""A process of its own with a tally: `tally_child.py URL TURNS GRANT COUNT CONCURRENCY`.

Submits COUNT calls (0: until it is killed), CONCURRENCY at a time, and writes one line per answer:
the outcome and the event, in one write, so that what was written was acknowledged. TURNS is where
children take turns; without it they settle whenever they like.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from app.db.engine import make_engine
from app.metering.granting import load_grant
from app.metering.tally.tally import open_tally
from tests.metering.calling import call_on


async def main(url: str, turns: str, grant_id: str, count: int, concurrency: int) -> None:
    engine = make_engine(url)
    with engine.connect() as connection:
        grant = load_grant(connection, grant_id)
    engine.dispose()
    assert grant is not None
    tally = open_tally(url, Path(turns) if turns else None)
    tally.start()
    left = iter(range(count)) if count else iter(int, 1)
    os.write(1, b"ready -\n")
    sys.stdin.readline()  # the parent says when, so that processes start together

    async def caller() -> None:
        for _ in left:
            settled = await tally.submit(call_on(grant))
            os.write(1, f"{settled.outcome} {settled.event_id}\n".encode())

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    await tally.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], *map(int, sys.argv[4:])))
