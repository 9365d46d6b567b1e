"""Snapshots: what is in both stores, to show that a refused request changed nothing."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from app import wiring
from app.db.installation import Installation

Snapshot = dict[str, tuple[int, str]]
"""The count of each table's rows, and a hash of all that is in them."""


def snapshot(installation: Installation) -> Snapshot:
    """Both stores as they are now."""
    engines = {"market": installation.market, "usage": installation.usage}
    found: Snapshot = {}
    for store, engine in engines.items():
        with engine.connect() as connection:
            for table in wiring.METADATA[store].sorted_tables:
                rows = sorted(repr(tuple(row)) for row in connection.execute(sa.select(table)))
                digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
                found[f"{store}.{table.name}"] = (len(rows), digest)
    return found


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """The tables that differ, with the counts of their rows."""
    return [
        f"{table}: {before[table][0]} -> {after[table][0]} rows"
        for table in before
        if before[table] != after[table]
    ]
