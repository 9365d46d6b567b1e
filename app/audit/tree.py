"""The stored tree: its nodes by (level, index), read and appended through a session."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, func, select

from app.audit.merkle import Hash, Node, appended
from app.audit.models import Leaf, TreeNode


class StoredTree:
    """The nodes of the log's tree; what was read or appended is remembered for this transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Node, Hash] = {}

    def read(self, level: int, index: int) -> Hash:
        """The hash of a complete subtree; `KeyError` when the tree has not grown that far."""
        if (level, index) not in self._known:
            node = self._session.get(TreeNode, (level, index))
            if node is None:
                raise KeyError((level, index))
            self._known[(level, index)] = node.hash
        return self._known[(level, index)]

    def append(self, size: int, leaves: Sequence[Hash]) -> None:
        """Store the nodes that come to be when `leaves` join a tree of `size`."""
        for node, value in appended(size, leaves, self.read):
            self._known[node] = value
            self._session.add(TreeNode(level=node[0], index=node[1], hash=value))
        self._session.flush()


def numbered_leaves(session: Session) -> int:
    """How many leaves have a number: the size of the tree."""
    newest = session.exec(select(func.max(col(Leaf.number)))).one()
    return 0 if newest is None else int(newest) + 1
