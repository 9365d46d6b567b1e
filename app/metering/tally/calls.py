"""Calls on their way to be settled, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.metering.grants import Frame

KEY_LIFE_US = 24 * 3600 * 1_000_000
MAX_REPLAYS = 3
# Deliveries that broke off, which a key knows again when their void is sent twice.
BREAKS_REMEMBERED = 16


class Outcome(StrEnum):
    """What settling said to one call."""

    POSTED = "posted"
    """Counted and on disk: serve it."""
    DUPLICATE = "duplicate"
    """Its Idempotency-Key has posted before: serve it again, nothing was taken."""
    KEY_REUSED = "key_reused"
    """Its Idempotency-Key belongs to another request."""
    KEY_SPENT = "key_spent"
    """Its Idempotency-Key has been served again as often, or as long, as it may."""
    OVER_LIMIT = "over_limit"
    """It does not fit what is left; nothing was taken."""
    STALE_WINDOW = "stale_window"
    """Its windows do not hold `settled_at_us`: frame it anew at that moment."""
    STALE_GRANT = "stale_grant"
    """Its grant has other terms by now: load them and admit it anew."""
    DEAD = "dead"
    """The grant is not live, or not at this moment."""
    VOIDED = "voided"
    """The unit went back to its windows."""
    KEPT = "kept"
    """Its data were delivered under its key otherwise, or still may be: it stays counted."""
    NOT_FOUND = "not_found"
    """There is no such event to void."""


@dataclass(slots=True, eq=False)
class Call:
    """One call to settle. Hashes are lower-case hex; `key_sha256` only with an Idempotency-Key.

    `replay_until_us` is when its key stops giving the data again (0 without a key).
    """

    frame: Frame
    event_id: str
    at_us: int
    units: int
    operation: str
    status: int
    bytes: int
    request_sha256: str
    key_sha256: str | None = None
    replay_until_us: int = 0


class Settled(NamedTuple):
    """What became of a call. `number` is 0 where no event speaks for it.

    `used_units` are the counters of the call's frame, in its order, after the whole batch, and
    `granted_left` is what calls may burn of unit grants then.
    """

    outcome: Outcome
    event_id: str
    number: int
    settled_at_us: int
    used_units: Sequence[int] = ()
    granted_left: int = 0


class Standing(NamedTuple):
    """How a frame's counters stand, and what is left of unit grants beside them."""

    used_units: tuple[int, ...]
    granted_left: int


class Paid(NamedTuple):
    """What an event has paid for, whatever burned or counted it."""

    meter: str
    units: int


@dataclass(frozen=True, slots=True)
class Void:
    """The taking back of a posted event whose data broke off on the way.

    An event with an Idempotency-Key is taken back by the last of its deliveries that breaks off:
    `replayed` says that this one was not the first, but a repeat under the key. `counts_at_us` is
    when the event counts, where that is not when it settled: its units go back to those windows.
    """

    grant_id: str
    event_id: str
    """The event to take back."""
    void_event_id: str
    """The id of the event that takes it back."""
    at_us: int
    status: int
    key_sha256: str | None = None
    replayed: bool = False
    counts_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is remembered of an Idempotency-Key."""

    event_id: str
    number: int
    request_sha256: str
    replays: int
    replay_until_us: int
    expires_at_us: int

    def answer(self, request_sha256: str, at_us: int) -> Outcome:
        """What a further call under this key gets at `at_us`."""
        if request_sha256 != self.request_sha256:
            return Outcome.KEY_REUSED
        if self.replays >= MAX_REPLAYS or at_us >= self.replay_until_us:
            return Outcome.KEY_SPENT
        return Outcome.DUPLICATE


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that share one transaction, in order of arrival.

    `again` says that an earlier try may have been committed unseen: a call whose event exists is
    answered with it instead of being counted twice. `afterwards` says that the use was delivered
    before, and only told of now: it counts though its grant is over. `counts_at_us` is the moment
    whose windows it counts in and whose unit grants it burns, of those that were granted by then:
    the one at which the event counted that it corrects; None is when it settles. Only answers of
    the latter say what is left of unit grants.
    """

    calls: tuple[Call, ...]
    again: bool = False
    afterwards: bool = False
    counts_at_us: int | None = None
