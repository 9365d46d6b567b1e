"""The sequencer: numbers committed leaves, grows the tree, and signs a checkpoint.

Business transactions never number: they would wait for each other, and deadlock. One sequencer at a
time is elected by a lock that its transaction holds; a leaf that commits later gets a later number.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.audit.log_keys import log_signer
from app.audit.merkle import leaf_hash, root_of
from app.audit.models import Checkpoint, Leaf
from app.audit.notes import TreeHead, checkpoint_text, signed_note
from app.audit.tree import StoredTree, numbered_leaves
from app.db.engine import is_sqlite
from app.db.installation import Installation, installation_of
from app.db.session import now
from app.kernel.actor import job_actor

BATCH = 1000
SEQUENCER_LOCK = 0x5A686967  # one advisory lock of ours: "Zhig"


def sequence(installation: Installation) -> int:
    """Number the leaves that wait and sign a checkpoint over them; how many there were.

    Returns 0 at once when nothing waits, or when another sequencer is at work.
    """
    with installation.transaction(job_actor("audit.sequence"), writes=False) as session:
        if session.exec(select(Leaf.id).where(col(Leaf.number).is_(None)).limit(1)).first() is None:
            return 0
    done = 0
    while True:
        with installation.transaction(job_actor("audit.sequence")) as session:
            count = _sequence_batch(session)
        done += count
        if count < BATCH:
            return done


def newest_checkpoint(session: Session) -> Checkpoint | None:
    """The newest checkpoint; None before the first."""
    return session.exec(select(Checkpoint).order_by(col(Checkpoint.size).desc()).limit(1)).first()


def _sequence_batch(session: Session) -> int:
    if not _elected(session):
        return 0
    waiting = session.exec(
        select(Leaf).where(col(Leaf.number).is_(None)).order_by(col(Leaf.id)).limit(BATCH)
    ).all()
    if not waiting:
        return 0
    size = numbered_leaves(session)
    tree = StoredTree(session)
    tree.append(size, [leaf_hash(leaf.commitment) for leaf in waiting])
    for number, leaf in enumerate(waiting, start=size):
        leaf.number = number
        session.add(leaf)
    session.flush()
    _sign(session, size + len(waiting), tree)
    return len(waiting)


def _sign(session: Session, size: int, tree: StoredTree) -> None:
    signer = log_signer(session)
    head = TreeHead(installation_of(session).settings.log_name, size, root_of(size, tree.read))
    note = signed_note(checkpoint_text(head), signer.verifier, signer.private)
    session.add(Checkpoint(size=size, root=head.root, note=note, signed_at=now(session)))


def _elected(session: Session) -> bool:
    """Whether this transaction may number; on SQLite there is only one writer anyway."""
    connection = session.connection()
    if is_sqlite(connection):
        return True
    lock = sa.func.pg_try_advisory_xact_lock(SEQUENCER_LOCK)
    return bool(connection.execute(sa.select(lock)).scalar())
