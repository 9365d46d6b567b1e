"""The policy as a table: who may call each operation, and who may have the rows that it names.

`policy.csv` has a row for each operation and for each kind of row that its path can name:

access   `public`, `signed-in`, or scopes of which the token needs one
role     alliance roles of which the caller needs one; without, 403 whichever row is named
ids      whose rows the path names: a set of `world.Sale`, or `nobody` (a tile, an asset)
seen_by  who gets an answer; for everybody else the row does not exist. `anyone`: it is public;
         `person`: the one whose own it is, who is no viewpoint, so the route's own tests call it
done_by  who of them may act, if not all: the others are told so (403), and nothing changes
why      of what is public: the reason
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent / "policy.csv"
NOBODY = "nobody"
ANYONE = "anyone"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    operation: str
    access: frozenset[str] | None
    roles: frozenset[str]
    ids: str
    seen_by: frozenset[str]
    done_by: frozenset[str]
    why: str

    @property
    def label(self) -> str:
        """How a failure names it."""
        return f"{self.operation} ({self.ids})" if self.ids else self.operation


@cache
def rows() -> Sequence[Row]:
    """Every line of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_row(line) for line in csv.DictReader(file, strict=True))


def _row(line: dict[str, str]) -> Row:
    return Row(
        operation=f"{line['method']} {line['path']}",
        access=_access(line["access"]),
        roles=frozenset(line["role"].split()),
        ids=line["ids"],
        seen_by=frozenset(line["seen_by"].split()),
        done_by=frozenset((line["done_by"] or line["seen_by"]).split()),
        why=line["why"],
    )


def _access(text: str) -> frozenset[str] | None:
    """The scopes as the guards keep them: None for the public, empty for whoever is signed in."""
    if text == "public":
        return None
    return frozenset() if text == "signed-in" else frozenset(text.split())
