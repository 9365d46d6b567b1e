"""Triggers: no two seats of one organisation and role overlap, whoever holds the connection.

An exclusion constraint would say it on PostgreSQL only, and needs the extension btree_gist for it.
The advisory lock makes it hold between two transactions that do not see each other's rows yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

REASON = "seats of one organisation and role overlap"
_OVERLAPPING = """
    SELECT 1 FROM alliance_seat AS other
    WHERE other.organisation_id = NEW.organisation_id AND other.role = NEW.role
      AND other.id <> NEW.id AND other.from_on < NEW.until_on AND NEW.from_on < other.until_on
      AND other.from_on < other.until_on AND NEW.from_on < NEW.until_on
"""
_EVENTS = {
    "insert": "INSERT",
    "update": "UPDATE OF organisation_id, role, from_on, until_on",
}

_SQLITE = tuple(
    f"CREATE TRIGGER alliance_seat_no_overlap_{name} BEFORE {event} ON alliance_seat "
    f"WHEN EXISTS ({_OVERLAPPING}) BEGIN SELECT RAISE(ABORT, '{REASON}'); END"
    for name, event in _EVENTS.items()
)
_FUNCTION = f"""
CREATE FUNCTION alliance_seat_no_overlap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('alliance_seat'), hashtext(NEW.organisation_id));
  IF EXISTS ({_OVERLAPPING}) THEN
    RAISE EXCEPTION '{REASON}' USING ERRCODE = 'exclusion_violation';
  END IF;
  RETURN NEW;
END $$
"""
_POSTGRESQL = (
    _FUNCTION,
    *(
        f"CREATE TRIGGER alliance_seat_no_overlap_{name} BEFORE {event} ON alliance_seat "
        "FOR EACH ROW EXECUTE FUNCTION alliance_seat_no_overlap()"
        for name, event in _EVENTS.items()
    ),
)

SEAT_TRIGGERS: Mapping[str, Sequence[str]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
