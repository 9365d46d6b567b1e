"""Links: the ids of one sale, as each package knows them, from licence term to payout.

Each package answers two questions in its own `links.py`: which contract does this id belong to, and
which of my rows belong to this contract. The inspector joins the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from app.audit.models import Leaf


@dataclass(frozen=True)
class Link:
    """One row of a sale's chain: its id, what it is, and the facts that join it to the others."""

    id: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def subject_of(session: Session, leaf_id: str) -> str | None:
    """What the leaf is about; None for an unknown one."""
    return session.exec(select(Leaf.subject_id).where(Leaf.id == leaf_id)).first()


def leaves_about(session: Session, subjects: Collection[str]) -> Iterator[Link]:
    """The leaves about any of `subjects`, in the order in which they were made."""
    leaves = session.exec(
        select(Leaf).where(col(Leaf.subject_id).in_(subjects)).order_by(col(Leaf.id))
    )
    for leaf in leaves:
        facts = {"number": leaf.number, "event": leaf.kind, "subject": leaf.subject_id}
        yield Link(leaf.id, "leaf", facts)
