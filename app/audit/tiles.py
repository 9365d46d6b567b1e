"""Tiles of the log (C2SP tlog-tiles): 256 hashes of one level, or 256 entries, by path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from app.audit.checkpointing import newest_checkpoint
from app.audit.errors import LogBroken
from app.audit.models import Leaf, TreeNode
from app.kernel.refusals import RowNotFound

HEIGHT = 8
WIDTH = 1 << HEIGHT

_PATH = re.compile(r"(entries|[0-7])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True)
class TileAddress:
    """Which tile: `level` is None for entries; `width` hashes or entries from the left."""

    level: int | None
    index: int
    width: int


def parse_tile_path(path: str) -> TileAddress:
    """The tile that `L/N[.p/W]` names; N is written in groups of three, all but the last with x."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise RowNotFound("There is no such tile.")
    index = int(match[2].replace("x", "").replace("/", ""))
    width = int(match[3]) if match[3] else WIDTH
    if match[2] != tile_number(index) or (match[3] and width >= WIDTH):
        raise RowNotFound("There is no such tile.")
    return TileAddress(None if match[1] == "entries" else int(match[1]), index, width)


def tile_number(index: int) -> str:
    """N as tlog-tiles writes it: 1234067 is `x001/x234/067`."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def read_tile(session: Session, address: TileAddress) -> bytes:
    """The bytes of a tile; refuses with `RowNotFound` what no checkpoint covers yet.

    Raises `LogBroken` when rows are missing: caches would keep such a tile for good.
    """
    start = address.index * WIDTH
    end = start + address.width
    checkpoint = newest_checkpoint(session)
    tree_level = 0 if address.level is None else address.level * HEIGHT
    if checkpoint is None or end > checkpoint.size >> tree_level:
        raise RowNotFound("There is no such tile.")
    if address.level is None:
        rows = _commitments(session, start, end)
    else:
        rows = _hashes(session, tree_level, start, end)
    if len(rows) != address.width:
        raise LogBroken(f"the log lacks rows of its tile {address}")
    if address.level is None:
        return b"".join(len(entry).to_bytes(2) + entry for entry in rows)
    return b"".join(rows)


def _hashes(session: Session, level: int, start: int, end: int) -> Sequence[bytes]:
    return session.exec(
        select(TreeNode.hash)
        .where(TreeNode.level == level, TreeNode.index >= start, TreeNode.index < end)
        .order_by(col(TreeNode.index))
    ).all()


def _commitments(session: Session, start: int, end: int) -> Sequence[bytes]:
    return session.exec(
        select(Leaf.commitment)
        .where(col(Leaf.number) >= start, col(Leaf.number) < end)
        .order_by(col(Leaf.number))
    ).all()
