"""Does the log hold? Invariant A1, read-only; names the first row that breaks it.

Everything is judged as far as the newest checkpoint that was there at the start: a running
sequencer adds behind that, and rows before it never change. Whoever truncates leaves, nodes and
checkpoints alike leaves nothing to see here: only a witness, or anybody's receipt, tells of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from app.audit.errors import LogBroken
from app.audit.leaf_rows import LEAF_COLUMNS, leaf_problem
from app.audit.log_keys import proven_keys
from app.audit.merkle import Hash, Node, appended, leaf_hash, root_of
from app.audit.models import Checkpoint, Leaf, TreeNode
from app.audit.notes import NoteInvalid, VerifierKey, opened_checkpoint
from app.db.session import now

UNNUMBERED_AT_MOST = timedelta(seconds=10)
BATCH = 1000


def problems(session: Session) -> Iterator[str]:
    """What is wrong with the numbered log, the first of each sort; nothing when it holds."""
    try:
        keys = proven_keys(session)
    except LogBroken as error:
        yield f"A1: {error}"
        return
    newest = session.exec(select(func.max(col(Checkpoint.size)))).one() or 0
    yield from _Rebuilt(session, keys).first_problem(newest)
    yield from _uncovered(session)


def late_leaves(session: Session) -> Iterator[str]:
    """The oldest leaf that has waited too long for its number.

    A leaf's moment is its transaction's: one that took long looks late when it has just ended.
    """
    limit = now(session) - UNNUMBERED_AT_MOST
    late = session.exec(
        select(Leaf.id)
        .where(col(Leaf.number).is_(None), col(Leaf.recorded_at) < limit)
        .order_by(col(Leaf.id))
        .limit(1)
    ).first()
    if late is not None:
        yield f"A1: leaf {late} has had no number for more than 10 s"


def begin_view(session: Session) -> None:
    """Ask for anything: a snapshot begins with its first statement."""
    session.exec(select(Checkpoint.size).limit(1)).first()


class _Rebuilt:
    """The tree as the leaves themselves make it, compared batch by batch with what is stored."""

    def __init__(self, session: Session, keys: Sequence[VerifierKey]) -> None:
        self._session = session
        self._keys = keys
        self._nodes: dict[Node, Hash] = {}

    def first_problem(self, size: int) -> Iterator[str]:
        """What is first wrong with leaves, nodes and checkpoints up to `size`."""
        start = 0
        while start < size:
            end = min(start + BATCH, size)
            for found in self._problems_between(start, end):
                yield found
                return
            self._forget_inside(end)
            start = end

    def _problems_between(self, start: int, end: int) -> Iterator[str]:
        rows = self._session.execute(
            sa.select(*LEAF_COLUMNS)
            .where(col(Leaf.number) >= start, col(Leaf.number) < end)
            .order_by(col(Leaf.number))
        ).all()
        for number in range(start, end):
            row = rows[number - start] if number - start < len(rows) else None
            if found := leaf_problem(row, number):
                yield found
                return
        leaves = [leaf_hash(row.commitment) for row in rows]
        yield from self._wrong_nodes(start, leaves)
        yield from self._wrong_checkpoints(start, end)

    def _wrong_nodes(self, start: int, leaves: Sequence[Hash]) -> Iterator[str]:
        stored = self._stored_nodes(start, start + len(leaves))
        number = start
        for node, value in appended(start, leaves, self._read):
            number = node[1] if node[0] == 0 else number
            self._nodes[node] = value
            if stored.get(node) != value:
                place = f"{node[0]}/{node[1]}"
                yield f"A1: node {place} of the tree is not what the leaves up to {number} make it"

    def _stored_nodes(self, start: int, end: int) -> dict[Node, Hash]:
        """The stored nodes that leaves `start` to `end` complete."""
        found: dict[Node, Hash] = {}
        for level in range(end.bit_length()):
            rows = self._session.execute(
                sa.select(col(TreeNode.index), col(TreeNode.hash)).where(
                    col(TreeNode.level) == level,
                    col(TreeNode.index) >= start >> level,
                    col(TreeNode.index) < end >> level,
                )
            )
            found.update({(level, index): value for index, value in rows})
        return found

    def _wrong_checkpoints(self, start: int, end: int) -> Iterator[str]:
        rows = self._session.execute(
            sa.select(col(Checkpoint.size), col(Checkpoint.root), col(Checkpoint.note))
            .where(col(Checkpoint.size) > start, col(Checkpoint.size) <= end)
            .order_by(col(Checkpoint.size))
        )
        for size, root, note in rows:
            if root_of(size, self._read) != root:
                yield f"A1: checkpoint {size} is not consistent with the leaves under it"
            if not any(_is_signed(note, size, root, key) for key in self._keys):
                yield f"A1: checkpoint {size} is not signed by the log"

    def _read(self, level: int, index: int) -> Hash:
        return self._nodes[(level, index)]

    def _forget_inside(self, size: int) -> None:
        """Keep only the right edge: nothing that is to come reads another node."""
        edge = [(level, (size >> level) - 1) for level in range(size.bit_length())]
        self._nodes = {node: self._nodes[node] for node in edge if size >> node[0] & 1}


def _uncovered(session: Session) -> Iterator[str]:
    """Leaves and nodes behind the newest checkpoint; one statement each, so seen at one moment."""
    size = sa.select(func.coalesce(func.max(col(Checkpoint.size)), 0)).scalar_subquery()
    leaf = session.execute(
        sa.select(col(Leaf.number), col(Leaf.id))
        .where(col(Leaf.number) >= size)
        .order_by(col(Leaf.number))
        .limit(1)
    ).first()
    if leaf is not None:
        yield f"A1: leaf {leaf.number} ({leaf.id}) is numbered but under no checkpoint"
    node: Any = session.execute(
        sa.select(col(TreeNode.level), col(TreeNode.index))
        .where(col(TreeNode.index) >= sa.cast(size, sa.BigInteger).op(">>")(col(TreeNode.level)))
        .order_by(col(TreeNode.level), col(TreeNode.index))
        .limit(1)
    ).first()
    if node is not None:
        yield f"A1: node {node[0]}/{node[1]} of the tree is under no checkpoint"


def _is_signed(note: str, size: int, root: bytes, key: VerifierKey) -> bool:
    try:
        head = opened_checkpoint(note, key)
    except NoteInvalid:
        return False
    return (head.size, head.root) == (size, root)
