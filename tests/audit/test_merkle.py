"""The tree of RFC 6962: the published vectors, and proofs of every tree up to a size."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit import merkle

VECTORS = Path(__file__).parents[1] / "data" / "vectors"


def cases(name: str) -> list[Any]:
    return list(json.loads((VECTORS / name).read_text()))


def raw(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def raw_list(texts: list[str] | None) -> list[bytes]:
    return [raw(text) for text in texts or []]


INCLUSION = cases("rfc6962_inclusion.json")
CONSISTENCY = cases("rfc6962_consistency.json")


def test_all_196_vectors_are_here() -> None:
    assert (len(INCLUSION), len(CONSISTENCY)) == (98, 98)


@pytest.mark.parametrize("case", INCLUSION, ids=lambda case: case["name"])
def test_a_published_inclusion_proof_holds_or_fails(case: Any) -> None:
    holds = merkle.inclusion_holds(
        raw(case["leafHash"]),
        case["leafIdx"],
        case["treeSize"],
        raw_list(case["proof"]),
        raw(case["root"]),
    )
    assert holds is not case["wantErr"]


@pytest.mark.parametrize("case", CONSISTENCY, ids=lambda case: case["name"])
def test_a_published_consistency_proof_holds_or_fails(case: Any) -> None:
    holds = merkle.consistency_holds(
        case["size1"],
        case["size2"],
        raw_list(case["proof"]),
        raw(case["root1"]),
        raw(case["root2"]),
    )
    assert holds is not case["wantErr"]


class Tree:
    """A tree in memory."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.leaves: list[bytes] = []

    def read(self, level: int, index: int) -> bytes:
        return self.nodes[(level, index)]

    def append(self, entries: list[bytes]) -> None:
        hashes = [merkle.leaf_hash(entry) for entry in entries]
        for node, value in merkle.appended(len(self.leaves), hashes, self.read):
            self.nodes[node] = value
        self.leaves += hashes


def plain_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962 §2.1, word for word."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(plain_root(leaves[:k]), plain_root(leaves[k:]))


@given(st.lists(st.lists(st.binary(max_size=4), max_size=9), max_size=6))
def test_however_leaves_arrive_root_and_proofs_are_those_of_the_definition(
    batches: list[list[bytes]],
) -> None:
    tree = Tree()
    for batch in batches:
        start = len(tree.leaves)
        tree.append([bytes([start + n]) + entry for n, entry in enumerate(batch)])
    size = len(tree.leaves)
    root = merkle.root_of(size, tree.read)
    assert root == plain_root(tree.leaves) == merkle.root_of_hashes(iter(tree.leaves))
    for index, leaf in enumerate(tree.leaves):
        proof = merkle.inclusion_proof(index, size, tree.read)
        assert merkle.inclusion_holds(leaf, index, size, proof, root)
        assert not merkle.inclusion_holds(leaf, (index + 1) % (size + 1), size, proof, root)
    for old in range(1, size + 1):
        proof = merkle.consistency_proof(old, size, tree.read)
        old_root = plain_root(tree.leaves[:old])
        assert merkle.consistency_holds(old, size, proof, old_root, root)
        assert not merkle.consistency_holds(old, size, proof, root[::-1], root)


def test_a_proof_of_what_is_not_there_is_refused() -> None:
    tree = Tree()
    tree.append([b"a", b"b", b"c"])
    for index in (-1, 3):
        with pytest.raises(ValueError, match="leaf"):
            merkle.inclusion_proof(index, 3, tree.read)
    for old in (0, 4):
        with pytest.raises(ValueError, match="earlier"):
            merkle.consistency_proof(old, 3, tree.read)
