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
from app.audit.verifying import SEALED

SHOWN_SEALS = 1000


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
    """The leaves about any of `subjects`, in the order in which they were made.

    Of seals only the first thousand: a grant in use has thousands a day.
    """
    columns = (col(Leaf.id), col(Leaf.number), col(Leaf.kind), col(Leaf.subject_id))
    about = select(*columns).where(col(Leaf.subject_id).in_(subjects)).order_by(col(Leaf.id))
    seals = session.exec(about.where(Leaf.kind == SEALED).limit(SHOWN_SEALS)).all()
    others = session.exec(about.where(Leaf.kind != SEALED)).all()
    for leaf_id, number, kind, subject_id in sorted([*seals, *others]):
        yield Link(leaf_id, "leaf", {"number": number, "event": kind, "subject": subject_id})
