"""Breaking rows behind everybody's back, to see fsck name them; afterwards all is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlmodel import Session

from app import wiring
from app.db.installation import Installation
from app.kernel.actor import OPERATOR

Check = Callable[[Session], Iterable[str]]


@contextmanager
def broken(installation: Installation, statements: Sequence[str]) -> Iterator[Session]:
    """The market store after these statements, each of which changes a row; then undone."""
    with installation.market.connect() as connection:
        unguard(connection)
        for statement in statements:
            assert connection.execute(text(statement)).rowcount, f"changes nothing: {statement}"
        info = {"actor": OPERATOR, "installation": installation}
        with Session(connection, info=info) as session:
            yield session
        connection.rollback()


def unguard(connection: Connection) -> None:
    """Take away the triggers that keep rows from being changed, as their owner could."""
    dialect = connection.dialect.name
    for trigger in wiring.EXTRA_DDL["market"][dialect]:
        words = trigger.split()
        if words[1] == "TRIGGER":
            on = f" ON {words[words.index('ON') + 1]}" if dialect == "postgresql" else ""
            connection.execute(text(f"DROP TRIGGER {words[2]}{on}"))


def missed(
    installation: Installation, check: Check, breaks: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """The breaks that `check` did not name, with what it said instead.

    Each break is its statements and, last, the text that names the row.
    """
    found = {}
    for name, (*statements, wanted) in breaks.items():
        with broken(installation, statements) as session:
            said = list(check(session))
        if not any(wanted in problem for problem in said):
            found[name] = [*said, f"wanted: {wanted}"]
    return found
