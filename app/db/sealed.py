"""Sealed columns: where sealed text lies, what it is sealed for, and its way to a newer key.

A column says itself that it is sealed, so whoever walks a store's metadata finds them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from app.db.changes import announce
from app.kernel.sealing import MasterKeys, Sealer

INFO = "sealed"


@dataclass(frozen=True)
class Sealed:
    """How a column is sealed: `purpose` is a template over its row, `upstream:{listing_id}`.

    In a JSON column `path` leads to the text, and the row is the document. `announces` is a topic
    of the change feed and the column of its subject, for readers who keep the text in memory.
    """

    purpose: str
    path: tuple[str, ...] = ()
    announces: tuple[str, str] | None = None


@dataclass(frozen=True)
class SealedColumn:
    """A column that holds sealed text, or null."""

    column: sa.Column[Any]
    sealed: Sealed

    @property
    def name(self) -> str:
        """The table and the column."""
        return f"{self.column.table.name}.{self.column.name}"

    def text_in(self, row: Mapping[str, Any]) -> str | None:
        """The sealed text of a row."""
        found = row[self.column.name]
        for member in self.sealed.path:
            found = None if found is None else found.get(member)
        return None if found is None else str(found)

    def purpose_in(self, row: Mapping[str, Any]) -> str:
        """What a row's text is sealed for."""
        return self.sealed.purpose.format_map(row[self.column.name] if self.sealed.path else row)

    def with_text(self, row: Mapping[str, Any], text: str) -> Any:
        """The column's value with `text` in the place of what is sealed now."""
        if not self.sealed.path:
            return text
        *way, last = self.sealed.path
        document: dict[str, Any] = {**row[self.column.name]}
        inner = document
        for member in way:
            inner[member] = {**inner[member]}
            inner = inner[member]
        inner[last] = text
        return document


def sealed_field(purpose: str, *, nullable: bool = False) -> Any:
    """Text that the master keys have sealed for `purpose`, a template over the row's columns."""
    column = sa.Column(sa.Text, nullable=nullable, info={INFO: Sealed(purpose)})
    return Field(sa_column=column, default=None) if nullable else Field(sa_column=column)


def sealed_columns(metadata: sa.MetaData) -> Sequence[SealedColumn]:
    """Every sealed column of a store."""
    return [
        SealedColumn(column, column.info[INFO])
        for table in metadata.sorted_tables
        for column in table.columns
        if INFO in column.info
    ]


def sealed_rows(
    connection: sa.Connection, sealed: SealedColumn, *, at_once: int = 500
) -> Iterator[Mapping[str, Any]]:
    """Every row that has sealed text, in the order of its key."""
    after: Sequence[Any] | None = None
    while batch := _batch(connection, sealed, after, at_once, lock=False):
        yield from (row for row in batch if sealed.text_in(row) is not None)
        after = _key(sealed, batch[-1])


def reseal_batch(
    connection: sa.Connection,
    sealed: SealedColumn,
    keys: MasterKeys,
    after: Sequence[Any] | None,
    *,
    at_us: int,
    at_once: int,
) -> tuple[Sequence[Any] | None, int]:
    """Bring the next `at_once` rows after the key `after` under the current master key.

    Comes back with the key of the last row, None when there were no more, and how many changed.
    """
    batch = _batch(connection, sealed, after, at_once, lock=True)
    changed = [row for row in batch if _reseal(connection, sealed, keys, row)]
    if changed and sealed.sealed.announces is not None:
        topic, subject = sealed.sealed.announces
        for name in sorted({str(row[subject]) for row in changed}):
            announce(connection, topic, name, at_us)
    return (_key(sealed, batch[-1]) if batch else None), len(changed)


def opens(sealed: SealedColumn, row: Mapping[str, Any], keys: Sealer) -> None:
    """Raise `SealBroken` unless the row's text opens for its purpose under a key that is known."""
    text = sealed.text_in(row)
    if text is not None:
        keys.unseal(text, sealed.purpose_in(row))


def _reseal(
    connection: sa.Connection, sealed: SealedColumn, keys: MasterKeys, row: Mapping[str, Any]
) -> bool:
    text = sealed.text_in(row)
    if text is None:
        return False
    anew = keys.reseal(text, sealed.purpose_in(row))
    if anew == text:
        return False
    table = sealed.column.table
    connection.execute(
        sa.update(table)
        .where(*(column == row[column.name] for column in table.primary_key))
        .values({sealed.column: sealed.with_text(row, anew)})
    )
    return True


def _batch(
    connection: sa.Connection,
    sealed: SealedColumn,
    after: Sequence[Any] | None,
    at_once: int,
    *,
    lock: bool,
) -> Sequence[Mapping[str, Any]]:
    table = sealed.column.table
    key = tuple(table.primary_key)
    wanted = sa.select(table).where(sealed.column.is_not(None)).order_by(*key).limit(at_once)
    if after is not None:
        last = (sa.literal(part, column.type) for part, column in zip(after, key, strict=True))
        wanted = wanted.where(sa.tuple_(*key) > sa.tuple_(*last))
    if lock:
        wanted = wanted.with_for_update()
    return [dict(row) for row in connection.execute(wanted).mappings()]


def _key(sealed: SealedColumn, row: Mapping[str, Any]) -> Sequence[Any]:
    return tuple(row[column.name] for column in sealed.column.table.primary_key)
