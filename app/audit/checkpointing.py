"""The sequencer: numbers committed leaves, grows the tree, and signs a checkpoint.

Business transactions never number: they would wait for each other, and deadlock. One sequencer at a
time is elected by a lock that its transaction holds; a leaf that commits later gets a later number.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from app.audit.election import is_elected
from app.audit.errors import LogBroken
from app.audit.log_keys import LogSigner, log_signer
from app.audit.merkle import leaf_hash, root_of
from app.audit.models import Checkpoint, Leaf
from app.audit.notes import (
    NoteInvalid,
    TreeHead,
    checkpoint_text,
    opened_checkpoint,
    signed_note,
)
from app.audit.tree import StoredTree, numbered_leaves
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import job_actor

BATCH = 1000


def sequence(installation: Installation) -> int:
    """Number the leaves that wait and sign a checkpoint over them; how many there were.

    Returns 0 at once when nothing waits, or when another sequencer is at work. Raises `LogBroken`
    rather than sign a tree that does not extend the newest checkpoint.
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
    if not is_elected(session):
        return 0
    waiting = session.exec(
        select(Leaf).where(col(Leaf.number).is_(None)).order_by(col(Leaf.id)).limit(BATCH)
    ).all()
    if not waiting:
        return 0
    signer = log_signer(session)
    tree = StoredTree(session)
    size = _signed_size(session, tree, signer)
    tree.append(size, [leaf_hash(leaf.commitment) for leaf in waiting])
    for number, leaf in enumerate(waiting, start=size):
        leaf.number = number
        session.add(leaf)
    session.flush()
    _sign(session, size + len(waiting), tree, signer)
    return len(waiting)


def _signed_size(session: Session, tree: StoredTree, signer: LogSigner) -> int:
    """The size of the tree, once it is seen to be the one that was signed last."""
    newest = newest_checkpoint(session)
    size = 0 if newest is None else newest.size
    numbered = numbered_leaves(session)
    if numbered != size:
        raise LogBroken(f"{numbered} leaves have numbers, but the newest checkpoint covers {size}")
    if newest is not None:
        try:
            head = opened_checkpoint(newest.note, signer.verifier)
        except NoteInvalid as error:
            raise LogBroken(f"checkpoint {size} is not signed by the log") from error
        if (head.size, head.root) != (size, _stored_root(size, tree)):
            raise LogBroken(f"the tree is not the one that checkpoint {size} signed")
    return size


def _stored_root(size: int, tree: StoredTree) -> bytes:
    try:
        return root_of(size, tree.read)
    except KeyError as error:
        raise LogBroken(f"the tree of {size} leaves lacks the node {error}") from error


def _sign(session: Session, size: int, tree: StoredTree, signer: LogSigner) -> None:
    # The name on the key is the log's name for life, whatever the settings say today.
    head = TreeHead(signer.verifier.name, size, root_of(size, tree.read))
    note = signed_note(checkpoint_text(head), signer.verifier, signer.private)
    session.add(Checkpoint(size=size, root=head.root, note=note, signed_at=now(session)))
