"""Does everything that is sealed open? Invariant S1, read-only; names the first row of each column.

A row that opens under no key that is known is a secret lost, or one that was moved or planted.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlmodel import Session

from app.db.columns import market_metadata
from app.db.installation import installation_of
from app.db.sealed import opens, sealed_columns, sealed_rows
from app.kernel.sealing import SealBroken
from app.metering.tables import usage_metadata


def problems(market: Session, usage: sa.Connection) -> Iterator[str]:
    """Rows of both stores whose sealed text does not open."""
    keys = installation_of(market).keys
    stores = ((market_metadata, market.connection()), (usage_metadata, usage))
    for metadata, connection in stores:
        for column in sealed_columns(metadata):
            for row in sealed_rows(connection, column):
                try:
                    opens(column, row, keys)
                except SealBroken:
                    key = "/".join(str(row[part.name]) for part in column.column.table.primary_key)
                    yield f"S1: {column.name} of {key} opens under no known key"
                    break
