"""The change feed: what other processes must learn of within a second.

Any store may carry one (`feed_tables`). A change takes its number from one locked row, as the last
thing before its commit, so numbers become visible in their order: a reader that has seen `n` never
meets a smaller one later. Processes poll; the feed says what changed, never how.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.db.columns import market_metadata
from app.db.engine import is_sqlite

PAGE = 1_000

_own = sa.MetaData(naming_convention=market_metadata.naming_convention)

change_counter = sa.Table(
    "change_counter",
    _own,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_number", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
    sa.CheckConstraint("last_number >= 0", name="last_number"),
)
change = sa.Table(
    "change",
    _own,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("topic", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(80), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Something of `topic` (`grant`, `access`) about `subject` (an id) is other than before."""

    number: int
    topic: str
    subject: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new on the feed; `complete` is false when some of it is no longer kept."""

    items: tuple[Change, ...]
    last_number: int
    complete: bool


def feed_tables(metadata: sa.MetaData) -> None:
    """Add the feed's two tables to a store's metadata."""
    change_counter.to_metadata(metadata)
    change.to_metadata(metadata)


def announce(connection: sa.Connection, topic: str, subject: str, at_us: int) -> int:
    """Put a change on the feed; its number. Call it last: it holds the counter until the commit."""
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    number = connection.execute(
        insert(change_counter)
        .values(id=1, last_number=1)
        .on_conflict_do_update(
            index_elements=["id"], set_={"last_number": change_counter.c.last_number + 1}
        )
        .returning(change_counter.c.last_number)
    ).scalar_one()
    connection.execute(
        sa.insert(change).values(number=number, topic=topic, subject=subject, at_us=at_us)
    )
    return int(number)


def last_change(connection: sa.Connection) -> int:
    """The newest number on the feed; 0 when nothing was ever announced."""
    found = connection.execute(sa.select(change_counter.c.last_number)).scalar_one_or_none()
    return int(found or 0)


def changes_since(connection: sa.Connection, number: int) -> Changes:
    """Up to `PAGE` changes after `number`, in order.

    Incomplete when the feed no longer reaches back to `number` or was set back behind it (a
    restored store): then the reader must load everything afresh.
    """
    last = last_change(connection)
    if last == number:
        return Changes((), last, True)
    rows = connection.execute(
        sa.select(change.c.number, change.c.topic, change.c.subject)
        .where(change.c.number > number)
        .order_by(change.c.number)
        .limit(PAGE)
    ).all()
    items = tuple(Change(*row) for row in rows)
    if not items or items[0].number != number + 1:
        return Changes((), last, False)
    return Changes(items, items[-1].number, True)


def forget_changes(connection: sa.Connection, before_us: int) -> None:
    """Drop changes announced before `before_us`; a reader further behind loads everything."""
    connection.execute(sa.delete(change).where(change.c.at_us < before_us))
