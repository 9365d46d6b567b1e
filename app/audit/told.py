"""Told: rows held against what the log says of them (A1).

Each package knows which leaves its rows must have; this brings both together, a batch at a time, so
that memory stays flat however many rows there are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.audit.models import Leaf

BATCH = 500
Row = TypeVar("Row", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class Told:
    """What one leaf says about a row: what happened, when, and the facts."""

    kind: str
    at: datetime
    facts: Mapping[str, Any]


class Tale:
    """All that the log says about one row, in order; `kinds` narrow it down."""

    def __init__(self, told: Sequence[Told]) -> None:
        self.told = told

    def last(self, *kinds: str) -> Told | None:
        """The newest leaf of these kinds; of any, when none is named."""
        wanted = (one for one in reversed(self.told) if not kinds or one.kind in kinds)
        return next(wanted, None)

    def has(self, kind: str, at: datetime | None, **facts: Any) -> bool:
        """Whether a leaf of that very moment says so: it was written with the row, or with what
        the row tells of that moment, in one transaction, for a transaction has one moment.
        """
        return any(
            one.kind == kind
            and one.at == at
            and all(one.facts.get(name) == value for name, value in facts.items())
            for one in self.told
        )


def with_tales(
    session: Session,
    rows: SelectOfScalar[Row],
    kinds: Collection[str],
    subject: Callable[[Row], str],
) -> Iterator[tuple[Row, Tale]]:
    """Each row with the leaves of `kinds` about its subject."""
    found = session.scalars(rows.execution_options(yield_per=BATCH))
    for batch in found.partitions():
        tales = _tales(session, {subject(row) for row in batch}, kinds)
        for row in batch:
            yield row, Tale(tales[subject(row)])


def leaves_by_key(session: Session, dedupe_keys: Collection[str]) -> Mapping[str, Told]:
    """What the leaves that were recorded once under these keys say."""
    rows = session.execute(
        select(Leaf.dedupe_key, Leaf.kind, Leaf.recorded_at, Leaf.body).where(
            col(Leaf.dedupe_key).in_(dedupe_keys)
        )
    )
    return {key: Told(kind, at, json.loads(body)["facts"]) for key, kind, at, body in rows}


def leaves_by_id(session: Session, leaf_ids: Collection[str]) -> Mapping[str, Told]:
    """What these leaves say; those that are not there are left out."""
    rows = session.execute(
        select(Leaf.id, Leaf.kind, Leaf.recorded_at, Leaf.body).where(col(Leaf.id).in_(leaf_ids))
    )
    return {leaf_id: Told(kind, at, json.loads(body)["facts"]) for leaf_id, kind, at, body in rows}


def leaves_of_kind(session: Session, kind: str) -> Iterator[Sequence[Told]]:
    """What every leaf of a kind says, some at a time, in order."""
    leaves = session.execute(
        select(Leaf.recorded_at, Leaf.body)
        .where(col(Leaf.kind) == kind)
        .order_by(col(Leaf.id))
        .execution_options(yield_per=BATCH)
    )
    for batch in leaves.partitions():
        yield [Told(kind, at, json.loads(body)["facts"]) for at, body in batch]


def lost_rows(session: Session, kind: str, ids: Mapped[str] | str) -> Iterator[str]:
    """What the log says came to be and is not there; `ids` is the column of those that are."""
    leaf = session.execute(
        sa.select(col(Leaf.id), col(Leaf.subject_id))
        .where(col(Leaf.kind) == kind)
        .where(~sa.exists().where(col(ids) == col(Leaf.subject_id)))
        .order_by(col(Leaf.id))
        .limit(1)
    ).first()
    if leaf is not None:
        yield f"A1: {leaf.subject_id} is gone; leaf {leaf.id} tells of its {kind}"


def _tales(
    session: Session, subjects: Collection[str], kinds: Collection[str]
) -> Mapping[str, list[Told]]:
    leaves = session.execute(
        select(Leaf.subject_id, Leaf.kind, Leaf.recorded_at, Leaf.body)
        .where(col(Leaf.subject_id).in_(subjects), col(Leaf.kind).in_(kinds))
        .order_by(col(Leaf.id))
    )
    tales: dict[str, list[Told]] = defaultdict(list)
    for subject_id, kind, at, body in leaves:
        tales[subject_id].append(Told(kind, at, json.loads(body)["facts"]))
    return tales
