"""The book of a batch on SQLite: how it is read before settling and written after."""

from __future__ import annotations

import sqlite3

from app.metering.grants import Counter, CounterKey, Frame
from app.metering.tally.burning import UnitGrant, burning_order, left_of
from app.metering.tally.calls import (
    BREAKS_REMEMBERED,
    Batch,
    KnownKey,
    Outcome,
    Paid,
    Settled,
    Standing,
    Void,
)
from app.metering.tally.settling import Book, GrantState, frames_of


def load_book(connection: sqlite3.Connection, batch: Batch) -> Book:
    """Everything that `batch` is decided by; the caller holds the write lock."""
    frames = frames_of(batch)
    states = {}
    spent = set()
    for grant_id in {frame.grant_id for frame in frames}:
        row = connection.execute(_STATE, (grant_id,)).fetchone()
        if row is not None:
            found = GrantState(row[0], bool(row[1]), *row[2:6])
            if batch.counts_at_us is not None:
                found.units = tuple(
                    unit_grant
                    for unit_grant in _unit_grants(connection, grant_id, batch.counts_at_us)
                    if unit_grant.granted_at_us <= batch.counts_at_us
                )
            elif row[6]:
                found.units = _unit_grants(connection, grant_id, found.last_settled_at_us)
                if not found.units:
                    spent.add(grant_id)
            states[grant_id] = found
    used: dict[CounterKey, int] = {}
    for counter in (counter for frame in frames for counter in frame.counters):
        state = states.get(counter.key.grant_id)
        if state is not None and counter.key not in used:
            used[counter.key] = _used(connection, counter, state)
    keys = {}
    for call in batch.calls:
        if call.key_sha256 is not None:
            name = (call.frame.grant_id, call.key_sha256)
            if name not in keys and (known := load_key(connection, *name)) is not None:
                keys[name] = known
    earlier = _earlier(connection, batch) if batch.again else {}
    return Book(states, used, keys, earlier, frozenset(spent))


def _unit_grants(
    connection: sqlite3.Connection, grant_id: str, after_us: int
) -> tuple[UnitGrant, ...]:
    """The unit grants that may burn after a moment, in burning order."""
    rows = connection.execute(_UNITS, (grant_id, after_us))
    return tuple(burning_order(UnitGrant(*row) for row in rows))


def _used(connection: sqlite3.Connection, counter: Counter, state: GrantState) -> int:
    row = connection.execute(_USED, counter.key).fetchone()
    if row is not None:
        return int(row[0])
    if state.last_settled_at_us < counter.key.starts_at_us:
        return 0
    # A window that came with an amendment starts with what was used in it already.
    window = (counter.key.grant_id, counter.key.meter, counter.key.starts_at_us, counter.ends_at_us)
    return int(connection.execute(_USED_BEFORE, window).fetchone()[0])


def load_standing(connection: sqlite3.Connection, frame: Frame, at_us: int) -> Standing:
    """The units used in each of the frame's windows, none where nothing was counted yet, and what
    is left of unit grants at the moment.
    """
    found = [connection.execute(_USED, counter.key).fetchone() for counter in frame.counters]
    units = _unit_grants(connection, frame.grant_id, at_us)
    return Standing(
        tuple(0 if row is None else int(row[0]) for row in found),
        left_of(units, frame.meter, at_us),
    )


def load_key(connection: sqlite3.Connection, grant_id: str, key_sha256: str) -> KnownKey | None:
    """What is remembered of an Idempotency-Key; None when it is new."""
    row = connection.execute(_KEY, (grant_id, key_sha256)).fetchone()
    return None if row is None else KnownKey(*row)


def load_paid(connection: sqlite3.Connection, grant_id: str, number: int) -> Paid | None:
    """What the posted event of this number has paid for; None when it is not here."""
    row = connection.execute(_PAID, (grant_id, number)).fetchone()
    return None if row is None else Paid(*row)


def _earlier(connection: sqlite3.Connection, batch: Batch) -> dict[tuple[str, str], Settled]:
    found = {}
    for call in batch.calls:
        name = (call.frame.grant_id, call.event_id)
        row = connection.execute(_EVENT, name).fetchone()
        if row is not None:
            found[name] = Settled(Outcome.POSTED, call.event_id, row[0], row[1])
    return found


def write_book(connection: sqlite3.Connection, book: Book) -> None:
    """Write what settling has changed."""
    if book.posted:
        connection.executemany(
            _POST,
            [
                (
                    call.frame.grant_id,
                    answer.number,
                    call.event_id,
                    call.frame.epoch,
                    answer.settled_at_us,
                    call.frame.meter,
                    call.units,
                    granted,
                    call.operation,
                    call.status,
                    call.bytes,
                    call.request_sha256,
                )
                for call, answer, granted in book.posted
            ],
        )
        connection.executemany(
            _COUNT,
            [
                (*key, counter.ends_at_us, counter.limit_units, book.used[key])
                for key, counter in book.counted.items()
            ],
        )
        moved = {call.frame.grant_id: book.states[call.frame.grant_id] for call, *_ in book.posted}
        connection.executemany(
            _MOVE,
            [
                (state.last_number, state.last_settled_at_us, grant_id)
                for grant_id, state in moved.items()
            ],
        )
    if book.burns or book.spent:
        _write_burns(connection, book)
    for name in book.keys_changed:
        known = book.keys[name]
        connection.execute(
            _REMEMBER,
            (
                *name,
                known.event_id,
                known.number,
                known.request_sha256,
                known.replays,
                known.replay_until_us,
                known.expires_at_us,
            ),
        )


def _write_burns(connection: sqlite3.Connection, book: Book) -> None:
    connection.executemany(
        _BURN,
        [
            (grant_id, number, unit_grant.unit_grant_id, units)
            for grant_id, number, (unit_grant, units) in book.burns
        ],
    )
    burned: dict[tuple[str, str], int] = {}
    for grant_id, _, (unit_grant, units) in book.burns:
        name = (grant_id, unit_grant.unit_grant_id)
        burned[name] = burned.get(name, 0) + units
    connection.executemany(_BURN_OF, [(units, *name) for name, units in burned.items()])
    connection.executemany(_SPEND, [(grant_id,) for grant_id in book.spent])


def void_event(connection: sqlite3.Connection, void: Void) -> Settled:
    """Take an event back: a compensating event, and its units back to where they came from."""
    row = connection.execute(_TO_VOID, (void.grant_id, void.event_id)).fetchone()
    if row is None:
        return Settled(Outcome.NOT_FOUND, void.event_id, 0, void.at_us)
    number, settled_at_us, voided_by, voided_at_us, last_number, last_settled_at_us = row
    if voided_by is not None:
        return Settled(Outcome.DUPLICATE, void.event_id, voided_by, voided_at_us)
    if void.key_sha256 is not None and _is_kept(connection, void):
        return Settled(Outcome.KEPT, void.event_id, number, settled_at_us)
    at_us = max(void.at_us, last_settled_at_us)
    parameters = (
        last_number + 1, void.void_event_id, number, at_us, void.status, void.grant_id, number
    )  # fmt: skip
    connection.execute(_VOID, parameters)
    counts_at_us = settled_at_us if void.counts_at_us is None else void.counts_at_us
    connection.execute(
        _GIVE_BACK, {"grant_id": void.grant_id, "number": number, "counts_at_us": counts_at_us}
    )
    if connection.execute(_UNBURN_OF, (void.grant_id, number)).rowcount:
        connection.execute(_UNBURN, (void.grant_id, number))
        connection.execute(_HAS_UNITS, (void.grant_id,))
    connection.execute(_MOVE, (last_number + 1, at_us, void.grant_id))
    connection.execute(_FORGET_KEY, (void.grant_id, void.key_sha256, void.event_id))
    return Settled(Outcome.VOIDED, void.void_event_id, last_number + 1, at_us)


def _is_kept(connection: sqlite3.Connection, void: Void) -> bool:
    """Whether another delivery under the event's key stands, this one being given back to it."""
    name = (void.grant_id, void.key_sha256, void.event_id)
    row = connection.execute(_DELIVERED, name).fetchone()
    if row is None:
        return void.replayed
    replays, broken_off = row[0], row[1].split()
    if void.void_event_id in broken_off:
        return True
    if replays == 0:
        return False
    remembered = [*broken_off, void.void_event_id][-BREAKS_REMEMBERED:]
    connection.execute(_REPLAY_BACK, (" ".join(remembered), *name))
    return True


_STATE = """
SELECT epoch, live, starts_at_us, ends_at_us, last_number, last_settled_at_us, has_granted_units
FROM grant_state WHERE grant_id = ?"""
_USED = """
SELECT used_units FROM usage_window
WHERE grant_id = ? AND meter = ? AND kind = ? AND starts_at_us = ?"""
_USED_BEFORE = """
SELECT coalesce(sum(e.units - e.granted_units), 0) FROM usage_event e
LEFT JOIN usage_report q ON q.grant_id = e.grant_id AND q.number = e.number
WHERE e.grant_id = ?1 AND e.meter = ?2 AND e.kind = 'posted' AND e.settled_at_us >= ?3
  AND coalesce(q.counts_at_us, e.settled_at_us) >= ?3
  AND coalesce(q.counts_at_us, e.settled_at_us) < ?4
  AND NOT EXISTS (
    SELECT 1 FROM usage_event v WHERE v.grant_id = e.grant_id AND v.voids = e.number)"""
_UNITS = """
SELECT unit_grant_id, meter, priority, amount_units - burned_units, starts_at_us, ends_at_us,
  granted_at_us
FROM unit_grant WHERE grant_id = ? AND ends_at_us > ? AND burned_units < amount_units"""
_KEY = """
SELECT event_id, number, request_sha256, replays, replay_until_us, expires_at_us
FROM usage_key WHERE grant_id = ? AND key_sha256 = ?"""
_PAID = """
SELECT meter, units FROM usage_event WHERE grant_id = ? AND number = ? AND kind = 'posted'"""
_EVENT = """
SELECT number, settled_at_us FROM usage_event WHERE grant_id = ? AND event_id = ?"""
_POST = """
INSERT INTO usage_event (grant_id, number, event_id, epoch, kind, settled_at_us, meter, units,
  granted_units, operation, status, bytes, request_sha256)
VALUES (?, ?, ?, ?, 'posted', ?, ?, ?, ?, ?, ?, ?, ?)"""
_BURN = "INSERT INTO unit_burn (grant_id, number, unit_grant_id, units) VALUES (?, ?, ?, ?)"
_BURN_OF = """
UPDATE unit_grant SET burned_units = burned_units + ? WHERE grant_id = ? AND unit_grant_id = ?"""
_SPEND = "UPDATE grant_state SET has_granted_units = 0 WHERE grant_id = ?"
_COUNT = """
INSERT INTO usage_window (grant_id, meter, kind, starts_at_us, ends_at_us, limit_units, used_units)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (grant_id, meter, kind, starts_at_us) DO UPDATE SET
  ends_at_us = excluded.ends_at_us, limit_units = excluded.limit_units,
  used_units = excluded.used_units"""
_MOVE = """
UPDATE grant_state SET last_number = ?, last_settled_at_us = ? WHERE grant_id = ?"""
_REMEMBER = """
INSERT INTO usage_key (grant_id, key_sha256, event_id, number, request_sha256, replays,
  replay_until_us, expires_at_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (grant_id, key_sha256) DO UPDATE SET
  event_id = excluded.event_id, number = excluded.number,
  request_sha256 = excluded.request_sha256, replays = excluded.replays,
  replay_until_us = excluded.replay_until_us, expires_at_us = excluded.expires_at_us"""
_TO_VOID = """
SELECT e.number, e.settled_at_us, v.number, v.settled_at_us, s.last_number, s.last_settled_at_us
FROM usage_event e JOIN grant_state s ON s.grant_id = e.grant_id
LEFT JOIN usage_event v ON v.grant_id = e.grant_id AND v.voids = e.number
WHERE e.grant_id = ? AND e.event_id = ? AND e.kind = 'posted'"""
_VOID = """
INSERT INTO usage_event (grant_id, number, event_id, epoch, kind, voids, settled_at_us, meter,
  units, granted_units, operation, status, bytes, request_sha256)
SELECT grant_id, ?, ?, epoch, 'void', ?, ?, meter, units, granted_units, operation, ?, 0,
  request_sha256
FROM usage_event WHERE grant_id = ? AND number = ?"""
_GIVE_BACK = """
UPDATE usage_window SET used_units = used_units -
  (SELECT units - granted_units FROM usage_event e
   WHERE e.grant_id = :grant_id AND e.number = :number)
WHERE grant_id = :grant_id AND starts_at_us <= :counts_at_us AND ends_at_us > :counts_at_us
  AND meter = (SELECT meter FROM usage_event e WHERE e.grant_id = :grant_id AND e.number = :number)
"""
_UNBURN_OF = """
UPDATE unit_grant SET burned_units = burned_units - b.units FROM unit_burn b
WHERE b.grant_id = ? AND b.number = ?
  AND unit_grant.grant_id = b.grant_id AND unit_grant.unit_grant_id = b.unit_grant_id"""
_UNBURN = "DELETE FROM unit_burn WHERE grant_id = ? AND number = ?"
_HAS_UNITS = "UPDATE grant_state SET has_granted_units = 1 WHERE grant_id = ?"
_DELIVERED = """
SELECT replays, broken_off FROM usage_key
WHERE grant_id = ? AND key_sha256 = ? AND event_id = ?"""
_REPLAY_BACK = """
UPDATE usage_key SET replays = replays - 1, broken_off = ?
WHERE grant_id = ? AND key_sha256 = ? AND event_id = ?"""
_FORGET_KEY = "DELETE FROM usage_key WHERE grant_id = ? AND key_sha256 = ? AND event_id = ?"
