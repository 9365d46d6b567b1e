"""Triggers that keep the ledger append-only, whoever holds the connection.

Statements by dialect: the migration and the tests' tables are made from the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TABLES = ("ledger_transfer", "ledger_posting")
REASON = "the ledger is append-only"

_SQLITE = tuple(
    f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{REASON}'); END"
    for table in TABLES
    for event in ("UPDATE", "DELETE")
)

_FUNCTION = (
    "CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REASON}' USING ERRCODE = 'integrity_constraint_violation'; "
    "END $$"
)
_POSTGRESQL = (
    _FUNCTION,
    *(
        f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
        f"FOR EACH {'STATEMENT' if event == 'TRUNCATE' else 'ROW'} "
        "EXECUTE FUNCTION ledger_append_only()"
        for table in TABLES
        for event in ("UPDATE", "DELETE", "TRUNCATE")
    ),
)

LEDGER_TRIGGERS: Mapping[str, Sequence[str]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
