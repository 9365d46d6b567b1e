"""The log's part of fsck: silent on a log that was only used, and names the row that is broken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.audit import checking
from app.audit.checkpointing import newest_checkpoint, sequence
from app.audit.commitments import commitment_of
from app.audit.errors import LogBroken
from app.audit.log_keys import ensure_log_key
from app.audit.merkle import leaf_hash, root_of
from app.audit.models import LogKey
from app.audit.notes import TreeHead, checkpoint_text, signed_note, verifier_key_of
from app.audit.recording import record
from app.audit.tree import StoredTree
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.ids import new_id


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees of a dozen leaves then cross the edge of a batch, as great ones do."""
    monkeypatch.setattr(checking, "BATCH", 4)


@pytest.fixture
def log(installation: Installation) -> Installation:
    """Three checkpoints, over 3, 5 and 11 leaves."""
    with installation.transaction(OPERATOR) as session:
        ensure_log_key(session)
    for count in (3, 2, 6):
        add(installation, count)
        sequence(installation)
    assert broken(installation) == []
    return installation


def add(installation: Installation, count: int) -> list[str]:
    with installation.transaction(OPERATOR) as session:
        return [
            record(session, "thing:done", f"thing_{n}", organisations=("org_a",), n=n)
            for n in range(count)
        ]


def broken(installation: Installation) -> list[str]:
    with installation.transaction(OPERATOR, writes=False) as session:
        return list(checking.problems(session))


def run_sql(installation: Installation, statement: str, **values: Any) -> None:
    with installation.market.begin() as connection:
        assert connection.execute(text(statement), values).rowcount, "nothing was broken"


FIRST_NODE = '(SELECT hash FROM audit_node WHERE level = 0 AND "index" = 0)'
FIRST_ROOT = "(SELECT root FROM audit_checkpoint WHERE size = 3)"
TAMPERING = {
    "an edited body": (
        "UPDATE audit_leaf SET body = replace(body, '_1', '_7') WHERE number = 1",
        "A1: leaf 1 (leaf_",
    ),
    "a deleted leaf": ("DELETE FROM audit_leaf WHERE number = 6", "A1: leaf 6 is missing"),
    "a renumbered leaf": (
        "UPDATE audit_leaf SET number = 99 WHERE number = 0",
        "A1: leaf 0 is missing",
    ),
    "a truncated tail": ("DELETE FROM audit_leaf WHERE number >= 5", "A1: leaf 5 is missing"),
    "another kind beside the body": (
        "UPDATE audit_leaf SET kind = 'thing:undone' WHERE number = 7",
        "says another kind in its row than in its body",
    ),
    "another subject beside the body": (
        "UPDATE audit_leaf SET subject_id = 'thing_x' WHERE number = 7",
        "says another subject in its row than in its body",
    ),
    "others' business beside the body": (
        "UPDATE audit_leaf SET organisations = '[\"org_b\"]' WHERE number = 7",
        "says another organisations in its row than in its body",
    ),
    "another moment beside the body": (
        "UPDATE audit_leaf SET recorded_at = '2026-01-01T00:00:00.000000Z' WHERE number = 7",
        "says another at in its row than in its body",
    ),
    "an edited node": (
        f'UPDATE audit_node SET hash = {FIRST_NODE} WHERE level = 1 AND "index" = 3',
        "A1: node 1/3 of the tree is not what the leaves up to 7 make it",
    ),
    "a deleted node": (
        'DELETE FROM audit_node WHERE level = 3 AND "index" = 0',
        "A1: node 3/0 of the tree is not what the leaves up to 7 make it",
    ),
    "a node too many": (
        f'INSERT INTO audit_node (level, "index", hash) VALUES (0, 11, {FIRST_NODE})',
        "A1: node 0/11 of the tree is under no checkpoint",
    ),
    "an edited note": (
        "UPDATE audit_checkpoint SET note = replace(note, '5', '6') WHERE size = 5",
        "A1: checkpoint 5 is not signed by the log",
    ),
    "the root of an earlier checkpoint": (
        f"UPDATE audit_checkpoint SET root = {FIRST_ROOT} WHERE size = 5",
        "A1: checkpoint 5 is not consistent with the leaves under it",
    ),
    "a removed checkpoint": (
        "DELETE FROM audit_checkpoint WHERE size = 11",
        "is numbered but under no checkpoint",
    ),
}


@pytest.mark.parametrize(("statement", "wanted"), TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_named(log: Installation, statement: str, wanted: str) -> None:
    run_sql(log, statement)
    found = broken(log)
    assert any(wanted in problem for problem in found), found


def test_a_history_written_anew_is_inconsistent_with_the_earlier_checkpoints(
    log: Installation,
) -> None:
    """All leaves and nodes are rebuilt to fit, but what was signed of them is not."""
    run_sql(log, "DELETE FROM audit_node")
    run_sql(log, "UPDATE audit_leaf SET salt = :salt WHERE number = 2", salt=b"s" * 32)
    with log.transaction(OPERATOR) as session:
        connection = session.connection()
        rows = connection.execute(text("SELECT id, salt, body FROM audit_leaf ORDER BY number"))
        hashes = []
        for row in rows.all():
            commitment = commitment_of(bytes(row.salt), row.body.encode())
            connection.execute(
                text("UPDATE audit_leaf SET commitment = :made WHERE id = :id"),
                {"made": commitment, "id": row.id},
            )
            hashes.append(leaf_hash(commitment))
        StoredTree(session).append(0, hashes)
    assert broken(log) == ["A1: checkpoint 3 is not consistent with the leaves under it"]


def test_a_leaf_without_a_number_for_ten_seconds_is_named(
    log: Installation, clock: SetClock
) -> None:
    def late() -> list[str]:
        with log.snapshot(OPERATOR) as session:
            return list(checking.late_leaves(session))

    [leaf_id] = add(log, 1)
    clock.advance(timedelta(seconds=10))
    assert late() == []
    clock.advance(timedelta(seconds=1))
    assert late() == [f"A1: leaf {leaf_id} has had no number for more than 10 s"]
    sequence(log)
    assert late() == []


def test_a_planted_key_proves_nothing(log: Installation) -> None:
    """Whoever writes to the store can add a key and sign with it, but not seal its half."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    planted = verifier_key_of(log.settings.log_name, private)
    with log.transaction(OPERATOR) as session:
        newest = newest_checkpoint(session)
        assert newest is not None
        sealed = session.get_one(LogKey, session.connection().scalar(text(KEY_ID))).sealed_private
        head = TreeHead(planted.name, 11, root_of(11, StoredTree(session).read))
        newest.note = signed_note(checkpoint_text(head), planted, private)
        session.add(newest)
        key_id = new_id("key")
        session.add(
            LogKey(
                id=key_id,
                name=planted.name,
                verifier_key=str(planted),
                sealed_private=sealed,
                created_at=log.clock.now(),
            )
        )
    assert broken(log) == [f"A1: the log's key {key_id} is not the one that was sealed"]


KEY_ID = "SELECT id FROM audit_log_key"


def test_a_key_that_does_not_open_is_named(log: Installation) -> None:
    run_sql(log, "UPDATE audit_log_key SET sealed_private = 'v1.x'")
    [problem] = broken(log)
    assert problem.endswith("does not open")


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE audit_leaf SET number = 11 WHERE number = 10", "12 leaves have numbers"),
        ("DELETE FROM audit_checkpoint WHERE size = 11", "the newest checkpoint covers 5"),
        (
            f'UPDATE audit_node SET hash = {FIRST_NODE} WHERE level = 3 AND "index" = 0',
            "the tree is not the one that checkpoint 11 signed",
        ),
        ("DELETE FROM audit_node WHERE level = 3", "the tree of 11 leaves lacks the node"),
        (
            "UPDATE audit_checkpoint SET note = replace(note, '11', '12') WHERE size = 11",
            "checkpoint 11 is not signed by the log",
        ),
    ],
)
def test_the_sequencer_signs_no_tree_that_does_not_extend_the_newest_checkpoint(
    log: Installation, statement: str, wanted: str
) -> None:
    run_sql(log, statement)
    add(log, 1)
    with pytest.raises(LogBroken, match=wanted):
        sequence(log)
