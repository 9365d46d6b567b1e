"""A server connection that is lent for one transaction only: the tally behind PgBouncer.

With `pool_mode = transaction` nothing outlives a transaction: no setting of the session (PgBouncer
refuses most of them at the start of a connection) and no prepared statement, not even between
asyncpg's preparing and executing. So each question is a transaction of its own, which begins with
its settings: four messages instead of one, shared by the whole batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import asyncpg


class LentConnection:
    """An asyncpg connection whose every question is one transaction with settings of its own."""

    def __init__(self, connection: asyncpg.Connection, settings: Mapping[str, str]) -> None:
        self._connection = connection
        # A billed call must be on disk before it is served, whatever the server's default.
        durable = (
            "SELECT set_config('synchronous_commit', 'on', true)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        local = [f"SET LOCAL {name} = '{value}'" for name, value in settings.items()]
        self._begin = "; ".join(["BEGIN", *local, durable])

    def is_closed(self) -> bool:
        """Whether the connection to the pooler is gone."""
        return bool(self._connection.is_closed())

    def terminate(self) -> None:
        """Let the connection go at once."""
        self._connection.terminate()

    async def fetchrow(self, question: str, *values: object) -> Any:
        """The first row of the answer, after the commit."""
        rows = await self.fetch(question, *values)
        return rows[0] if rows else None

    async def fetchval(self, question: str, *values: object) -> Any:
        """The first value of the first row, after the commit."""
        row = await self.fetchrow(question, *values)
        return None if row is None else row[0]

    async def fetch(self, question: str, *values: object) -> Any:
        """The rows of the answer, after the commit."""
        try:
            await self._connection.execute(self._begin)
            rows = await self._connection.fetch(question, *values)
            await self._connection.execute("COMMIT")
        except asyncpg.PostgresError:
            # The server has refused: give its connection back as it was, or else our own up.
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await asyncio.wait_for(self._connection.execute("ROLLBACK"), 1)
            raise
        return rows
