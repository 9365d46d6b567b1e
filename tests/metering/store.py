"""A usage store with calls in it, and what stands there."""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.checking import problems
from app.metering.granting import apply_grant
from app.metering.grants import CompiledGrant, compiled_from
from app.metering.tally.calls import Batch, Call, Outcome, Settled, Void
from app.metering.tally.tally import open_driver
from tests.metering.calling import NOON_US
from tests.metering.grant_documents import grant_document


def give(installation: Installation, grant_id: str = "grt_one", **changes: Any) -> CompiledGrant:
    """Apply a grant; as it is in force then."""
    document = grant_document(grant_id, **changes)
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, document, at_us=1)
    return compiled_from(document)


def settle(installation: Installation, *calls: Call) -> list[Settled]:
    """Settle calls in one batch; all of them must post."""

    async def run() -> list[Settled]:
        driver = open_driver(installation.settings.usage_url)
        await driver.begin()
        answers = await driver.settle(Batch(calls))
        await driver.close()
        return answers

    answers = asyncio.run(run())
    assert {answer.outcome for answer in answers} == {Outcome.POSTED}
    return answers


def take_back(
    installation: Installation, event_id: str, at_us: int = NOON_US, grant_id: str = "grt_one"
) -> Settled:
    """Void an event."""

    async def run() -> Settled:
        driver = open_driver(installation.settings.usage_url)
        await driver.begin()
        answer = await driver.void(
            Void(grant_id, event_id, f"evt_void_{event_id[-20:]}", at_us, 502)
        )
        await driver.close()
        return answer

    return asyncio.run(run())


def execute(installation: Installation, statement: str) -> int:
    """Change the store behind everybody's back; how many rows."""
    with installation.usage_transaction() as connection:
        return connection.execute(sa.text(statement)).rowcount


def fsck(installation: Installation) -> list[str]:
    with installation.usage_transaction(writes=False) as connection:
        return list(problems(connection))
