"""Settling: what becomes of a batch of calls, given how their grants and counters stand.

Pure. The SQLite driver runs this between its reads and its writes; on PostgreSQL the function in
`tally_functions.py` says the same, and `tests/vectors/settle.json` holds both to one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from app.metering.grants import Counter, CounterKey, Frame
from app.metering.tally.burning import Burn, UnitGrant, burns_of, left_of
from app.metering.tally.calls import KEY_LIFE_US, Batch, Call, KnownKey, Outcome, Settled


@dataclass(slots=True)
class GrantState:
    """How a grant stands, under its lock; `units` are its unit grants in burning order."""

    epoch: int
    live: bool
    starts_at_us: int
    ends_at_us: int
    last_number: int
    last_settled_at_us: int
    units: Sequence[UnitGrant] = ()


KeyName = tuple[str, str]
"""A grant's id and the hash of an Idempotency-Key."""


@dataclass(slots=True)
class Book:
    """Everything that a batch is decided by; settling brings it up to date.

    `earlier` are events of the batch's own calls that an earlier try has left behind; `spent` are
    grants said to have unit grants of which none can burn any more.
    """

    states: dict[str, GrantState]
    used: dict[CounterKey, int]
    keys: dict[KeyName, KnownKey]
    earlier: dict[tuple[str, str], Settled]
    spent: frozenset[str] = frozenset()
    posted: list[tuple[Call, Settled, int]] = field(default_factory=list)
    counted: dict[CounterKey, Counter] = field(default_factory=dict)
    keys_changed: set[KeyName] = field(default_factory=set)
    burns: list[tuple[str, int, Burn]] = field(default_factory=list)


def frames_of(batch: Batch) -> Iterable[Frame]:
    """The batch's frames, each once, in order of arrival."""
    return dict.fromkeys(call.frame for call in batch.calls)


def settle(batch: Batch, book: Book) -> list[Settled]:
    """Settle each call in order of arrival; notes in `book` what is to be written."""
    # One list for all calls of a frame, filled when the last of them is settled.
    used: dict[Frame, list[int]] = {frame: [] for frame in frames_of(batch)}
    answers = [_settle_one(call, book, used[call.frame], batch) for call in batch.calls]
    for frame, units in used.items():
        units += [book.used.get(counter.key, 0) for counter in frame.counters]
    if batch.counts_at_us is None and any(state.units for state in book.states.values()):
        return [
            _with_granted(call, answer, book)
            for call, answer in zip(batch.calls, answers, strict=True)
        ]
    return answers


def _with_granted(call: Call, answer: Settled, book: Book) -> Settled:
    """The answer with what the whole batch has left of the grant's unit grants."""
    state = book.states.get(call.frame.grant_id)
    if state is None or not state.units:
        return answer
    return answer._replace(granted_left=left_of(state.units, call.frame.meter, call.at_us))


def _settle_one(call: Call, book: Book, used_units: Sequence[int], batch: Batch) -> Settled:
    frame = call.frame
    if book.earlier and (earlier := book.earlier.get((frame.grant_id, call.event_id))):
        return earlier._replace(used_units=used_units)
    state = book.states.get(frame.grant_id)
    if state is None or not (state.live or batch.afterwards):
        return Settled(Outcome.DEAD, call.event_id, 0, call.at_us, used_units)
    at_us = max(call.at_us, state.last_settled_at_us)
    if state.epoch != frame.epoch:
        return Settled(Outcome.STALE_GRANT, call.event_id, 0, at_us, used_units)
    if not batch.afterwards and not state.starts_at_us <= at_us < state.ends_at_us:
        return Settled(Outcome.DEAD, call.event_id, 0, at_us, used_units)
    if call.key_sha256 is not None:
        found = _by_key(call, book, at_us, used_units)
        if found is not None:
            return found
    counts_at_us = at_us if batch.counts_at_us is None else batch.counts_at_us
    burns: Sequence[Burn] = ()
    granted = 0
    if state.units:
        burns = burns_of(state.units, frame.meter, counts_at_us, call.units)
        granted = sum(units for _, units in burns)
    counted = call.units - granted
    refused = _refused_by_counter(call, book, counts_at_us, counted)
    if refused is not None:
        return Settled(refused, call.event_id, 0, at_us, used_units)
    number = _post(call, book, state, at_us, counted)
    for burn in burns:
        unit_grant, units = burn
        unit_grant.left_units -= units
        book.burns.append((frame.grant_id, number, burn))
    answer = Settled(Outcome.POSTED, call.event_id, number, at_us, used_units)
    book.posted.append((call, answer, granted))
    return answer


def _by_key(call: Call, book: Book, at_us: int, used_units: Sequence[int]) -> Settled | None:
    """The answer that the call's Idempotency-Key gives; None when the key is new."""
    assert call.key_sha256 is not None
    name = (call.frame.grant_id, call.key_sha256)
    known = book.keys.get(name)
    if known is None or known.expires_at_us <= at_us:
        return None
    outcome = known.answer(call.request_sha256, at_us)
    if outcome is Outcome.DUPLICATE:
        book.keys[name] = replace(known, replays=known.replays + 1)
        book.keys_changed.add(name)
    return Settled(outcome, known.event_id, known.number, at_us, used_units)


def _refused_by_counter(call: Call, book: Book, counts_at_us: int, units: int) -> Outcome | None:
    """Why the call cannot be counted, `units` of which no unit grant gives; None when it can."""
    room = True
    for counter in call.frame.counters:
        if not counter.holds(counts_at_us):
            return Outcome.STALE_WINDOW
        limit = counter.limit_units
        if limit is not None and book.used[counter.key] + units > limit:
            room = False
    return None if room else Outcome.OVER_LIMIT


def _post(call: Call, book: Book, state: GrantState, at_us: int, units: int) -> int:
    """Count `units` of the call; the number of its event."""
    state.last_number += 1
    state.last_settled_at_us = at_us
    for counter in call.frame.counters:
        book.used[counter.key] += units
        book.counted[counter.key] = counter
    if call.key_sha256 is not None:
        name = (call.frame.grant_id, call.key_sha256)
        book.keys[name] = KnownKey(
            event_id=call.event_id,
            number=state.last_number,
            request_sha256=call.request_sha256,
            replays=0,
            replay_until_us=min(call.replay_until_us, at_us + KEY_LIFE_US),
            expires_at_us=at_us + KEY_LIFE_US,
        )
        book.keys_changed.add(name)
    return state.last_number
