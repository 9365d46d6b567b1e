"""Questions about the log: leaves, trails, proofs."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.audit.checkpointing import newest_checkpoint
from app.audit.errors import NotYetSealed
from app.audit.merkle import Hash, consistency_proof, inclusion_proof
from app.audit.models import Checkpoint, Leaf
from app.audit.tree import StoredTree
from app.db.locks import get_or_refuse
from app.kernel.refusals import RowNotFound

BATCH = 500
MAX_NUMBER = 2**63
"""One more than a column of ours can hold."""


def leaf_numbered(session: Session, number: int) -> Leaf:
    """The leaf with this number."""
    known = 0 <= number < MAX_NUMBER
    leaf = session.exec(select(Leaf).where(Leaf.number == number)).first() if known else None
    if leaf is None:
        raise RowNotFound("The log has no leaf of this number.")
    return leaf


def trail(session: Session, subject_id: str, after: str = "") -> Iterator[Leaf]:
    """What happened to a row after the leaf `after`, in the order in which it happened.

    Read as it is asked for: a grant in use has a leaf for each of its seals, thousands a day.
    """
    leaves = select(Leaf).where(Leaf.subject_id == subject_id, col(Leaf.id) > after)
    yield from session.exec(leaves.order_by(col(Leaf.id)).execution_options(yield_per=BATCH))


def checkpoint_or_refuse(session: Session) -> Checkpoint:
    """The newest checkpoint; refuses with `NotYetSealed` before the first."""
    checkpoint = newest_checkpoint(session)
    if checkpoint is None:
        raise NotYetSealed("The log has no checkpoint yet.")
    return checkpoint


def sealed_leaf(session: Session, leaf_id: str) -> tuple[Leaf, Checkpoint]:
    """A leaf and the newest checkpoint, which covers it."""
    leaf = get_or_refuse(session, Leaf, leaf_id)
    checkpoint = newest_checkpoint(session)
    if leaf.number is None or checkpoint is None or leaf.number >= checkpoint.size:
        raise NotYetSealed("The next checkpoint will cover this; ask again in a second.")
    return leaf, checkpoint


def prove_inclusion(session: Session, number: int, size: int) -> list[Hash]:
    """The audit path of a leaf in the tree of `size`, which the log must have reached."""
    _check_size(session, size)
    if not 0 <= number < size:
        raise RowNotFound("The tree of this size has no such leaf.")
    return inclusion_proof(number, size, StoredTree(session).read)


def prove_consistency(session: Session, old: int, new: int) -> list[Hash]:
    """The proof that the tree of `new` extends the tree of `old`."""
    _check_size(session, new)
    if not 0 < old <= new:
        raise RowNotFound("There is no tree of this size to start from.")
    return consistency_proof(old, new, StoredTree(session).read)


def _check_size(session: Session, size: int) -> None:
    if size > checkpoint_or_refuse(session).size:
        raise RowNotFound("The log has not grown to this size.")
