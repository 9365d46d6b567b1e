"""The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1): hashes, proofs and their verification. Pure.

A tree is known by its complete subtrees: the node (level, index) is the hash of the leaves
`[index · 2^level, (index + 1) · 2^level)`. `Read` returns such a node. Appending writes about two
nodes a leaf; a root or a proof reads a number that is logarithmic in the size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

Hash = bytes
Node = tuple[int, int]
Read = Callable[[int, int], Hash]

HASH_BYTES = 32
EMPTY_ROOT: Hash = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> Hash:
    """The hash of a leaf: SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def appended(size: int, leaves: Iterable[Hash], read: Read) -> Iterator[tuple[Node, Hash]]:
    """The complete nodes that come to be when leaf hashes are appended to a tree of `size`.

    `read` must also return the nodes that this call has yielded.
    """
    for index, leaf in enumerate(leaves, start=size):
        level, position, current = 0, index, leaf
        yield (level, position), current
        while position & 1:
            current = node_hash(read(level, position - 1), current)
            level, position = level + 1, position >> 1
            yield (level, position), current


def root_of(size: int, read: Read) -> Hash:
    """The root of the first `size` leaves."""
    return range_hash(0, size, read) if size else EMPTY_ROOT


def root_of_hashes(leaves: Iterable[Hash]) -> Hash:
    """The root over leaf hashes that come one by one; keeps only the right edge of the tree."""
    edge: list[Hash] = []
    for index, leaf in enumerate(leaves):
        position, current = index, leaf
        while position & 1:
            current, position = node_hash(edge.pop(), current), position >> 1
        edge.append(current)
    if not edge:
        return EMPTY_ROOT
    root = edge.pop()
    while edge:
        root = node_hash(edge.pop(), root)
    return root


def range_hash(start: int, end: int, read: Read) -> Hash:
    """MTH(D[start:end]) where `start` is a multiple of the range's own power of two (RFC 6962)."""
    length = end - start
    if length & (length - 1) == 0 and start % length == 0:
        level = length.bit_length() - 1
        return read(level, start >> level)
    middle = start + _split(length)
    return node_hash(range_hash(start, middle, read), range_hash(middle, end, read))


def inclusion_proof(index: int, size: int, read: Read) -> list[Hash]:
    """The audit path of leaf `index` in a tree of `size`, from the leaf upwards (§2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("a leaf of the tree is asked for")
    path: list[Hash] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_hash(middle, end, read))
            end = middle
        else:
            path.append(range_hash(start, middle, read))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, read: Read) -> list[Hash]:
    """The proof that the tree of `new` begins with the tree of `old` leaves (§2.1.2)."""
    if not 0 < old <= new:
        raise ValueError("an earlier, not empty tree is asked for")
    if old == new:
        return []
    path: list[Hash] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_hash(middle, end, read))
            end = middle
        else:
            path.append(range_hash(start, middle, read))
            start, whole = middle, False
    if not whole:
        path.append(range_hash(start, end, read))
    return path[::-1]


def inclusion_holds(leaf: Hash, index: int, size: int, proof: Sequence[Hash], root: Hash) -> bool:
    """Whether `proof` leads from the leaf hash at `index` to `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size or len(leaf) != HASH_BYTES:
        return False
    node, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and current == root


def consistency_holds(
    old: int, new: int, proof: Sequence[Hash], old_root: Hash, new_root: Hash
) -> bool:
    """Whether `proof` shows that `new_root` extends `old_root` (RFC 9162 §2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_hash = new_hash = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_hash = node_hash(sibling, old_hash)
            new_hash = node_hash(sibling, new_hash)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_hash = node_hash(new_hash, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_hash == old_root and new_hash == new_root


def _split(length: int) -> int:
    """The largest power of two below `length`."""
    return 1 << (length - 1).bit_length() - 1
