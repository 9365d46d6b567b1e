"""Does the log hold? Invariant A1, read-only; names the first leaf that breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlmodel import Session, col, select

from app.audit.log_keys import verifier_keys
from app.audit.merkle import Hash, appended, leaf_hash, root_of
from app.audit.models import Checkpoint, Leaf, TreeNode
from app.audit.notes import NoteInvalid, VerifierKey, opened_note, parse_checkpoint
from app.audit.recording import commitment_of
from app.db.session import now

UNNUMBERED_AT_MOST = timedelta(seconds=10)
BATCH = 1000


def problems(session: Session) -> Iterator[str]:
    """What is wrong with the log: order, commitments, tree, checkpoints; nothing when it holds."""
    late = session.exec(
        select(Leaf.id)
        .where(
            col(Leaf.number).is_(None), col(Leaf.recorded_at) < now(session) - UNNUMBERED_AT_MOST
        )
        .limit(1)
    ).first()
    if late is not None:
        yield f"A1: leaf {late} has had no number for more than 10 s"
    rebuilt = _Rebuilt(session)
    yield from rebuilt.problems()
    yield from _checkpoint_problems(session, rebuilt)


class _Rebuilt:
    """The tree as the leaves themselves make it, compared with what is stored."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._nodes: dict[tuple[int, int], Hash] = {}
        self.size = 0

    def read(self, level: int, index: int) -> Hash:
        return self._nodes[(level, index)]

    def problems(self) -> Iterator[str]:
        while batch := self._next_batch():
            for leaf in batch:
                if leaf.number != self.size:
                    yield f"A1: leaf {self.size} is missing; {leaf.id} is next, as {leaf.number}"
                    return
                commitment = commitment_of(leaf.salt, leaf.body.encode())
                if commitment != leaf.commitment:
                    yield f"A1: leaf {leaf.number} ({leaf.id}) is not what was committed to"
                    return
                yield from self._append(leaf_hash(commitment))

    def _next_batch(self) -> list[Leaf]:
        statement = (
            select(Leaf)
            .where(col(Leaf.number) >= self.size)
            .order_by(col(Leaf.number))
            .limit(BATCH)
        )
        return list(self._session.exec(statement))

    def _append(self, leaf: Hash) -> Iterator[str]:
        for (level, index), value in appended(self.size, [leaf], self.read):
            self._nodes[(level, index)] = value
            stored = self._session.get(TreeNode, (level, index))
            if stored is None or stored.hash != value:
                yield f"A1: node {level}/{index} of the tree is not what leaf {self.size} makes it"
        self.size += 1


def _checkpoint_problems(session: Session, rebuilt: _Rebuilt) -> Iterator[str]:
    keys = verifier_keys(session)
    size = 0
    for checkpoint in session.exec(select(Checkpoint).order_by(col(Checkpoint.size))):
        size = checkpoint.size
        if size > rebuilt.size:
            yield f"A1: checkpoint {size} covers leaves that are gone; there are {rebuilt.size}"
            return
        if root_of(size, rebuilt.read) != checkpoint.root:
            yield f"A1: checkpoint {size} is not consistent with the leaves"
        if not any(_signed(checkpoint, key) for key in keys):
            yield f"A1: checkpoint {size} is not signed by the log"
    if size < rebuilt.size:
        yield f"A1: leaf {size} is numbered but under no checkpoint"


def _signed(checkpoint: Checkpoint, key: VerifierKey) -> bool:
    try:
        head = parse_checkpoint(opened_note(checkpoint.note, key))
    except NoteInvalid:
        return False
    return head.size == checkpoint.size and head.root == checkpoint.root
