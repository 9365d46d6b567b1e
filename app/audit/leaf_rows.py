"""A leaf's row, held against what it commits to. Pure."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped
from sqlmodel import col

from app.audit.commitments import SALT_BYTES, commitment_of
from app.audit.models import Leaf
from app.kernel.canonical import NotCanonical, canonical
from app.kernel.clock import rfc3339

LEAF_COLUMNS: tuple[Mapped[Any], ...] = (
    col(Leaf.id),
    col(Leaf.number),
    col(Leaf.kind),
    col(Leaf.subject_id),
    col(Leaf.organisations),
    col(Leaf.recorded_at),
    col(Leaf.body),
    col(Leaf.salt),
    col(Leaf.commitment),
)


def leaf_problem(row: sa.Row[Any] | None, number: int) -> str | None:
    """What is wrong with the row that should be leaf `number`; None when it is what it was.

    The columns beside the body are what questions are answered by, so they must say the same.
    """
    if row is None or row.number != number:
        return f"A1: leaf {number} is missing" + (f"; {row.id} is next" if row else "")
    name = f"A1: leaf {number} ({row.id})"
    if len(row.salt) != SALT_BYTES or commitment_of(row.salt, row.body.encode()) != row.commitment:
        return f"{name} is not what was committed to"
    try:
        body = json.loads(row.body)
        if canonical(body).decode() != row.body:
            return f"{name} is not canonical JSON"
    except (NotCanonical, ValueError, RecursionError):
        return f"{name} is not canonical JSON"
    told = {
        "id": row.id,
        "kind": row.kind,
        "subject": row.subject_id,
        "organisations": row.organisations,
        "at": rfc3339(row.recorded_at),
    }
    for member, value in told.items():
        if body.get(member) != value:
            return f"{name} says another {member} in its row than in its body"
    return None
