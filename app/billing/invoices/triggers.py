"""Triggers that freeze issued invoices, whoever holds the connection.

What is paid of an invoice changes, and with it its state; what it says never does. Ranges of events
are never changed at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

REASON = "an issued invoice is frozen"
MOVES = frozenset({"state", "paid_minor", "paid_at"})
FROZEN = (
    *("id", "provider_id", "buyer_id", "currency", "period", "scope", "parties", "net_minor"),
    *("vat_minor", "fee_minor", "gross_minor", "taxes", "fees", "number", "number_year"),
    *("number_seq", "content_sha256", "issued_at", "due_at"),
)
"""Every column of an invoice but those in `MOVES`; a test holds this to the model."""

_ISSUED = "EXISTS (SELECT 1 FROM invoice WHERE id = {row}.invoice_id AND state <> 'draft')"


def _sqlite(name: str, event: str, when: str = "") -> str:
    condition = f" WHEN {when}" if when else ""
    return (
        f"CREATE TRIGGER {name} BEFORE {event}{condition} "
        f"BEGIN SELECT RAISE(ABORT, '{REASON}'); END"
    )


_SQLITE = (
    _sqlite(
        "invoice_frozen",
        f"UPDATE OF {', '.join(FROZEN)} ON invoice",
        "OLD.state <> 'draft'",
    ),
    _sqlite("invoice_kept", "DELETE ON invoice", "OLD.state <> 'draft'"),
    _sqlite("invoice_line_added", "INSERT ON invoice_line", _ISSUED.format(row="NEW")),
    _sqlite("invoice_line_frozen", "UPDATE ON invoice_line", _ISSUED.format(row="OLD")),
    _sqlite("invoice_line_kept", "DELETE ON invoice_line", _ISSUED.format(row="OLD")),
    _sqlite("invoiced_range_frozen", "UPDATE ON invoiced_range"),
    _sqlite("invoiced_range_kept", "DELETE ON invoiced_range"),
)

_REFUSE = (
    "CREATE FUNCTION invoice_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REASON}' USING ERRCODE = 'integrity_constraint_violation'; "
    "END $$"
)
# A condition may not hold a subquery, so the lines' triggers look the invoice up themselves.
_REFUSE_LINE = (
    "CREATE FUNCTION invoice_line_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "DECLARE line invoice_line; BEGIN "
    "IF TG_OP = 'INSERT' THEN line := NEW; ELSE line := OLD; END IF; "
    f"IF {_ISSUED.format(row='line')} THEN RAISE EXCEPTION '{REASON}' "
    "USING ERRCODE = 'integrity_constraint_violation'; END IF; "
    "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
)
_CHANGED = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in FROZEN)


def _postgresql(name: str, event: str, function: str = "invoice_refuse", when: str = "") -> str:
    condition = f"WHEN ({when}) " if when else ""
    return (
        f"CREATE TRIGGER {name} BEFORE {event} FOR EACH ROW {condition}"
        f"EXECUTE FUNCTION {function}()"
    )


_POSTGRESQL = (
    _REFUSE,
    _REFUSE_LINE,
    _postgresql(
        "invoice_frozen", "UPDATE ON invoice", when=f"OLD.state <> 'draft' AND ({_CHANGED})"
    ),
    _postgresql("invoice_kept", "DELETE ON invoice", when="OLD.state <> 'draft'"),
    _postgresql(
        "invoice_line_frozen",
        "INSERT OR UPDATE OR DELETE ON invoice_line",
        "invoice_line_refuse",
    ),
    _postgresql("invoiced_range_frozen", "UPDATE OR DELETE ON invoiced_range"),
)

INVOICE_TRIGGERS: Mapping[str, Sequence[str]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
