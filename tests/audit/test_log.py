"""The log: leaves are numbered after commit, checkpoints are signed, and tampering is named."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.audit import checking, merkle, notes
from app.audit.checkpointing import newest_checkpoint, sequence
from app.audit.commitments import commitment_of
from app.audit.errors import LogBroken
from app.audit.exporting import export_receipt
from app.audit.log_keys import ensure_log_key, log_signer
from app.audit.models import Leaf
from app.audit.queries import leaf_numbered, prove_consistency, prove_inclusion, trail
from app.audit.recording import record
from app.audit.tiles import TileAddress, read_tile, tile_number
from app.audit.verifying import ReceiptInvalid, SegmentPart, encoded, verify_receipt
from app.db.installation import Installation
from app.kernel.actor import OPERATOR, Actor, ActorKind
from app.kernel.canonical import canonical
from app.kernel.refusals import RowNotFound, StepNotAllowed
from app.settings import SettingsError
from tests.conftest import Api


@pytest.fixture
def vkey(installation: Installation) -> str:
    with installation.transaction(OPERATOR) as session:
        return str(ensure_log_key(session))


def add(installation: Installation, count: int, **facts: Any) -> list[str]:
    with installation.transaction(OPERATOR) as session:
        return [
            record(session, "thing:done", f"thing_{n}", organisations=("org_a",), n=n, **facts)
            for n in range(count)
        ]


def broken(installation: Installation) -> list[str]:
    with installation.transaction(OPERATOR, writes=False) as session:
        return list(checking.problems(session))


def test_a_leaf_commits_to_its_body_and_says_who_did_it(
    installation: Installation, vkey: str
) -> None:
    actor = Actor(ActorKind.CLIENT, "cli_1", "org_a")
    with installation.transaction(actor) as session:
        leaf_id = record(session, "contract:signed", "ctr_1", organisations=("org_b", "org_a"))
    with installation.transaction(OPERATOR, writes=False) as session:
        leaf = session.get_one(Leaf, leaf_id)
        body = json.loads(leaf.body)
        assert body["actor"] == {"kind": "client", "id": "cli_1", "organisation": "org_a"}
        assert body["organisations"] == ["org_a", "org_b"]
        assert canonical(body).decode() == leaf.body
        assert len(leaf.salt) == 32
        assert leaf.number is None
        assert [found.id for found in trail(session, "ctr_1")] == [leaf_id]


def test_a_fact_may_have_any_name(installation: Installation, vkey: str) -> None:
    facts = {"kind": "upload", "subject_id": "x", "session": "y"}
    with installation.transaction(OPERATOR) as session:
        leaf = session.get_one(Leaf, record(session, "thing:done", "thing_1", **facts))
    assert json.loads(leaf.body)["facts"] == facts
    assert (leaf.kind, leaf.subject_id) == ("thing:done", "thing_1")


def test_the_log_has_one_name_for_life_and_no_second_key(
    installation: Installation, vkey: str
) -> None:
    renamed = dataclasses.replace(
        installation,
        settings=msgspec.structs.replace(installation.settings, log_name="other.example/log"),
    )
    with pytest.raises(SettingsError, match="for life"), renamed.transaction(OPERATOR) as session:
        ensure_log_key(session)
    add(renamed, 1)
    sequence(renamed)
    with installation.transaction(OPERATOR) as session:
        checkpoint = newest_checkpoint(session)
        assert checkpoint is not None
        head = notes.opened_checkpoint(checkpoint.note, notes.parse_verifier_key(vkey))
        assert head.origin == installation.settings.log_name
        session.connection().execute(text("DELETE FROM audit_log_key"))
        with pytest.raises(LogBroken, match="restore"):
            ensure_log_key(session)


def test_a_rolled_back_change_leaves_no_leaf(installation: Installation, vkey: str) -> None:
    with pytest.raises(ZeroDivisionError), installation.transaction(OPERATOR) as session:
        record(session, "thing:done", "thing_1")
        _ = 1 // 0
    assert sequence(installation) == 0


def test_a_repeated_job_records_once(installation: Installation, vkey: str) -> None:
    ids = set()
    for _ in range(3):
        with installation.transaction(OPERATOR) as session:
            ids.add(record(session, "thing:done", "thing_1", dedupe_key="once"))
    assert len(ids) == 1
    assert sequence(installation) == 1


def test_every_checkpoint_extends_the_one_before(installation: Installation, vkey: str) -> None:
    key = notes.parse_verifier_key(vkey)
    heads = []
    for count in (1, 2, 5, 9):
        add(installation, count)
        assert sequence(installation) == count
        with installation.transaction(OPERATOR, writes=False) as session:
            checkpoint = newest_checkpoint(session)
        assert checkpoint is not None
        heads.append(notes.parse_checkpoint(notes.opened_note(checkpoint.note, key)))
    assert [head.size for head in heads] == [1, 3, 8, 17]
    with installation.transaction(OPERATOR, writes=False) as session:
        for old in heads:
            for new in heads:
                if old.size <= new.size:
                    proof = prove_consistency(session, old.size, new.size)
                    sizes = (old.size, new.size)
                    assert merkle.consistency_holds(*sizes, proof, old.root, new.root)
        for leaf in session.exec(select(Leaf)):
            assert leaf.number is not None
            proof = prove_inclusion(session, leaf.number, 17)
            hashed = merkle.leaf_hash(leaf.commitment)
            assert merkle.inclusion_holds(hashed, leaf.number, 17, proof, heads[-1].root)
        with pytest.raises(RowNotFound):
            prove_inclusion(session, 0, 18)
    assert broken(installation) == []
    assert sequence(installation) == 0


def test_writers_and_sequencers_in_parallel_leave_a_log_that_holds(
    installation: Installation, vkey: str
) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return run

    def write() -> None:
        for _ in range(10):
            add(installation, 3)

    def number() -> None:
        while not stop.is_set():
            sequence(installation)

    writers = [threading.Thread(target=guarded(write)) for _ in range(4)]
    sequencers = [threading.Thread(target=guarded(number)) for _ in range(2)]
    for thread in writers + sequencers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in sequencers:
        thread.join()
    sequence(installation)
    assert failures == []
    assert broken(installation) == []
    with installation.transaction(OPERATOR, writes=False) as session:
        numbers = sorted(session.exec(select(Leaf.number)).all())
    assert numbers == list(range(120))


def receipt(installation: Installation, leaf_id: str, segment: SegmentPart | None = None) -> bytes:
    with installation.transaction(OPERATOR, writes=False) as session:
        return export_receipt(session, leaf_id, segment)


def test_a_receipt_proves_its_leaf_and_fails_on_every_changed_byte(
    installation: Installation, vkey: str
) -> None:
    ids = add(installation, 5, said="签了")
    with pytest.raises(StepNotAllowed):
        receipt(installation, ids[2])
    sequence(installation)
    content = receipt(installation, ids[2])
    proven = verify_receipt(content, vkey)
    assert (proven.number, proven.tree_size) == (2, 5)
    assert proven.leaf["facts"] == {"n": 2, "said": "签了"}
    for position in range(len(content)):
        for flip in (0x01, 0x20):
            altered = bytearray(content)
            altered[position] ^= flip
            with pytest.raises(ReceiptInvalid):
                verify_receipt(bytes(altered), vkey)


def test_a_receipt_holds_only_under_the_logs_own_key(installation: Installation, vkey: str) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    [leaf_id] = add(installation, 1)
    sequence(installation)
    content = receipt(installation, leaf_id)
    name = notes.parse_verifier_key(vkey).name
    stranger = notes.verifier_key_of(name, Ed25519PrivateKey.generate())
    for wrong in (str(stranger), "", vkey[:-2], "x" + vkey, vkey.replace("+", "-")):
        with pytest.raises(ReceiptInvalid):
            verify_receipt(content, wrong)
    with pytest.raises(ReceiptInvalid):
        verify_receipt(b"{" * 100_000, vkey)


def test_a_receipt_whose_salt_is_cut_elsewhere_proves_nothing(
    installation: Installation, vkey: str
) -> None:
    """The same bytes, parted so that the salt takes the beginning of the body with it."""
    inner = {"kind": "contract:signed", "subject": "ctr_forged"}
    salt, body = b"s" * 32, canonical(inner)
    commitment = commitment_of(salt + b"ahead", body)
    with installation.transaction(OPERATOR) as session:
        leaf = session.get_one(Leaf, record(session, "thing:done", "thing_1"))
        leaf.salt, leaf.body, leaf.commitment = salt + b"ahead", body.decode(), commitment
        session.add(leaf)
    sequence(installation)
    with pytest.raises(ReceiptInvalid, match="32 bytes"):
        verify_receipt(receipt(installation, leaf.id), vkey)


def test_a_checkpoint_of_another_log_proves_nothing(installation: Installation, vkey: str) -> None:
    key = notes.parse_verifier_key(vkey)
    with installation.transaction(OPERATOR, writes=False) as session:
        private = log_signer(session).private
    foreign = notes.TreeHead("other.example/log", 1, b"r" * 32)
    note = notes.signed_note(notes.checkpoint_text(foreign), key, private)
    with pytest.raises(notes.NoteInvalid, match="another log"):
        notes.opened_checkpoint(note, key)


def test_a_usage_event_is_proven_through_its_segment(installation: Installation, vkey: str) -> None:
    events = [{"grant_id": "grt_1", "number": n, "units": 1} for n in range(3, 8)]
    hashes = [merkle.leaf_hash(canonical(event)) for event in events]
    nodes: dict[tuple[int, int], bytes] = {}
    for node, value in merkle.appended(0, hashes, lambda level, index: nodes[(level, index)]):
        nodes[node] = value
    with installation.transaction(OPERATOR) as session:
        leaf_id = record(
            session,
            "usage:sealed",
            "grt_1",
            grant_id="grt_1",
            first_number=3,
            last_number=7,
            root=merkle.root_of_hashes(hashes).hex(),
        )
    sequence(installation)
    proof = merkle.inclusion_proof(2, 5, lambda level, index: nodes[(level, index)])
    part = SegmentPart(event=events[2], proof=encoded(proof))
    proven = verify_receipt(receipt(installation, leaf_id, part), vkey)
    assert proven.event == events[2]
    for wrong in ({"units": 2}, {"number": 6}, {"grant_id": "grt_2"}):
        forged = SegmentPart(event={**events[2], **wrong}, proof=encoded(proof))
        with pytest.raises(ReceiptInvalid):
            verify_receipt(receipt(installation, leaf_id, forged), vkey)


def test_only_the_leaf_of_a_seal_proves_a_usage_event(
    installation: Installation, vkey: str
) -> None:
    """Facts come from many hands; that a segment was sealed is told by one kind of leaf alone."""
    event = {"grant_id": "grt_1", "number": 1, "units": 1}
    root = merkle.leaf_hash(canonical(event)).hex()
    facts = {"grant_id": "grt_1", "first_number": 1, "last_number": 1, "root": root}
    with installation.transaction(OPERATOR) as session:
        leaf_ids = [record(session, kind, "grt_1", **facts) for kind in ("usage:sealed", "other")]
    sequence(installation)
    part = SegmentPart(event=event, proof=[])
    assert verify_receipt(receipt(installation, leaf_ids[0], part), vkey).event == event
    with pytest.raises(ReceiptInvalid, match="no seal"):
        verify_receipt(receipt(installation, leaf_ids[1], part), vkey)


def test_the_public_log_is_served_as_checkpoint_and_tiles(
    api: Api, installation: Installation, vkey: str
) -> None:
    caller = api.anonymous()
    assert caller.get("/audit/checkpoint").status_code == 404
    add(installation, 258)
    sequence(installation)
    note = caller.get("/audit/checkpoint").text
    head = notes.parse_checkpoint(notes.opened_note(note, notes.parse_verifier_key(vkey)))
    assert caller.get("/audit/keys").text == f"{vkey}\n"
    full = caller.get("/audit/tile/0/000")
    rest = caller.get("/audit/tile/0/001.p/2")
    assert "immutable" in full.headers["cache-control"]
    raw = full.content + rest.content
    hashes = [raw[start : start + 32] for start in range(0, len(raw), 32)]
    assert merkle.root_of_hashes(hashes) == head.root
    entries = caller.get("/audit/tile/entries/000").content
    assert entries[:2] == b"\x00\x20"
    assert merkle.leaf_hash(entries[2:34]) == hashes[0]
    assert caller.get("/audit/tile/1/000.p/1").content == merkle.root_of_hashes(hashes[:256])
    for missing in (
        "0/001",
        "0/002",
        "0/1",
        "8/000",
        "0/x000/001",
        "0/001.p/3",
        "0/000.p/256",
        "../x",
    ):
        assert caller.get(f"/audit/tile/{missing}").status_code == 404, missing


def test_a_tile_that_lacks_rows_is_not_served(installation: Installation, vkey: str) -> None:
    """Caches would keep it for good."""
    add(installation, 3)
    sequence(installation)
    with installation.transaction(OPERATOR) as session:
        session.connection().execute(text('DELETE FROM audit_node WHERE level = 0 AND "index" = 1'))
        with pytest.raises(LogBroken):
            read_tile(session, TileAddress(0, 0, 3))
        session.connection().execute(text("DELETE FROM audit_leaf WHERE number = 1"))
        with pytest.raises(LogBroken):
            read_tile(session, TileAddress(None, 0, 3))


@pytest.mark.parametrize("number", [-1, 1, 2**63, 2**200])
def test_a_number_that_no_leaf_can_have_is_not_found(
    installation: Installation, vkey: str, number: int
) -> None:
    add(installation, 1)
    sequence(installation)
    with (
        installation.transaction(OPERATOR, writes=False) as session,
        pytest.raises(RowNotFound),
    ):
        leaf_numbered(session, number)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_leaf SET number = -1",
        'UPDATE audit_node SET "index" = -1',
        "UPDATE audit_node SET level = -1",
        "UPDATE audit_checkpoint SET size = -1",
    ],
)
def test_the_store_refuses_a_place_below_zero(
    installation: Installation, vkey: str, statement: str
) -> None:
    add(installation, 1)
    sequence(installation)
    with pytest.raises(IntegrityError), installation.market.begin() as connection:
        connection.execute(text(statement))


def test_tile_numbers_are_written_in_groups_of_three() -> None:
    assert [tile_number(n) for n in (0, 67, 1234067)] == ["000", "067", "x001/x234/067"]


def test_a_note_is_read_strictly(installation: Installation, vkey: str) -> None:
    key = notes.parse_verifier_key(vkey)
    good = base64.b64encode(key.key_id + b"\x00" * 64).decode()
    for note in (
        "",
        "a\n",
        "a\n\n",
        f"a\n\n— {key.name} {good}",
        f"a\n\n- {key.name} {good}\n",
        f"a\n\n— {key.name} {good}\n",
        f"a\n\n— {key.name} !!\n",
        "a\x00\n\n— b YQ==\n",
    ):
        with pytest.raises(notes.NoteInvalid):
            notes.opened_note(note, key)
    for head in ("a\n01\nYQ==\n", "a\n1\nYQ==\n", "\n1\n", "a\n-1\n"):
        with pytest.raises(notes.NoteInvalid):
            notes.parse_checkpoint(head)
