"""Do archives and the log say the same? Each file's hash is in a leaf, each leaf's file is there.

No moment is common to both stores: what is in the usage store was there `before` the market was
seen, and what the log tells of must have been there before it, and so `after` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.audit.told import leaves_by_id, leaves_of_kind
from app.metering.tables import usage_archive

KIND = "usage:archived"


def problems(before: sa.Connection, session: Session, after: sa.Connection) -> Iterator[str]:
    """Archives whose leaf says something else, and leaves whose archive is gone."""
    for archive in before.execute(sa.select(usage_archive).order_by(usage_archive.c.from_us)):
        if archive.leaf_id is None:  # the next run of the job records it
            continue
        leaf = leaves_by_id(session, [archive.leaf_id]).get(archive.leaf_id)
        if leaf is None or leaf.kind != KIND or not _says(leaf.facts, archive):
            yield f"A4: leaf {archive.leaf_id} does not tell of {archive.file}"
    archives = {row.file: row for row in after.execute(sa.select(usage_archive))}
    for batch in leaves_of_kind(session, KIND):
        for told in batch:
            kept = archives.get(told.facts["file"])
            if kept is None or not _says(told.facts, kept):
                yield f"A4: {told.facts['file']} is gone, or is not what was recorded"


def _says(facts: Mapping[str, Any], archive: sa.Row[Any]) -> bool:
    return all(facts[name] == getattr(archive, name) for name in ("file", "sha256", "events"))
