"""What becomes of reported events, and the rules of time that they are taken by. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.kernel.clock import from_epoch_us, rfc3339
from app.kernel.refusals import Refusal
from app.metering.grants import CompiledGrant
from app.metering.reported.cloudevents import ReportedUse, Unreadable
from app.metering.reported.errors import (
    EventUnreadable,
    GrantNotLive,
    UsageInFuture,
    UsageTooLate,
)

REPORTED = "reported"
"""How a listing is delivered whose use its provider reports."""
MINUTE_US = 60 * 1_000_000
DAY_US = 24 * 60 * MINUTE_US
LATE_AT_MOST_US = 90 * DAY_US
AHEAD_AT_MOST_US = 5 * MINUTE_US


class ReportOutcome(StrEnum):
    """What became of one reported event."""

    POSTED = "posted"
    """It is counted; `event_id` and `number` are its event's."""
    DUPLICATE = "duplicate"
    """The same source and id said the same before; `event_id` and `number` are of that time."""
    CONFLICT = "conflict"
    """The same source and id said something else before; nothing changed."""
    REFUSED = "refused"
    """A rule said no; nothing changed."""


@dataclass(frozen=True, slots=True)
class PostedReport:
    """The event that a report has posted; `corrects` is the number of the one it replaced, and
    `counts_at_us` the moment in whose windows it counts: that one's, else its own.
    """

    grant_id: str
    event_id: str
    number: int
    units: int
    settled_at_us: int
    occurred_at_us: int
    counts_at_us: int
    corrects: int | None
    content_sha256: str


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """What became of one reported event: what was posted, now or before, or why nothing was."""

    event: ReportedUse | Unreadable
    outcome: ReportOutcome
    posted: PostedReport | None = None
    refusal: Refusal | None = None

    @property
    def name(self) -> tuple[str | None, str | None]:
        """The event's source and id, as far as they could be read."""
        event = self.event
        return (event.source, event.id) if isinstance(event, Unreadable) else event.name


@dataclass(frozen=True, slots=True)
class TermsInForce:
    """A grant as it stood from `applied_at_us` until the next of its epochs."""

    applied_at_us: int
    grant: CompiledGrant


def refused(event: ReportedUse | Unreadable, refusal: Refusal) -> ReportAnswer:
    """The answer to an event that a rule refuses."""
    return ReportAnswer(event, ReportOutcome.REFUSED, refusal=refusal)


def unreadable(event: Unreadable) -> ReportAnswer:
    """The answer to an event that does not say what it must, with a pointer to each error."""
    errors = [{"pointer": error.pointer, "detail": error.detail} for error in event.errors]
    return refused(event, EventUnreadable("The event does not say what it must.", errors=errors))


def refuse_future(at_us: int, now_us: int) -> None:
    """Raise for a moment more than five minutes ahead of our clock."""
    if at_us > now_us + AHEAD_AT_MOST_US:
        raise UsageInFuture(
            "This moment has not come yet: we allow clocks five minutes.",
            now=rfc3339(from_epoch_us(now_us)),
        )


def refuse_late(occurred_at_us: int, now_us: int) -> None:
    """Raise for use that lies more than ninety days back."""
    if occurred_at_us < now_us - LATE_AT_MOST_US:
        raise UsageTooLate(
            "Use is reported within 90 days.",
            earliest=rfc3339(from_epoch_us(now_us - LATE_AT_MOST_US)),
        )


def refuse_terms_then(history: Sequence[TermsInForce], at_us: int) -> None:
    """Raise unless the grant, whose epochs come oldest first, was live at `at_us`."""
    then = next((terms.grant for terms in reversed(history) if terms.applied_at_us <= at_us), None)
    if then is None:
        raise _not_live("The contract was not in force yet.", at_us, "not-in-force")
    _refuse_dead(then, at_us)


def refuse_not_begun(grant: CompiledGrant, now_us: int) -> None:
    """Raise before the contract's first day. What was used until its last may be told of later."""
    if now_us < grant.starts_at_us:
        raise _not_live("The contract has not begun.", now_us, "not-started")


def _refuse_dead(grant: CompiledGrant, at_us: int) -> None:
    if not grant.live:
        reason = grant.reason or "ended"
        raise _not_live(f"The contract is {reason} at that moment.", at_us, reason)
    if not grant.starts_at_us <= at_us < grant.ends_at_us:
        reason = "not-started" if at_us < grant.starts_at_us else "expired"
        raise _not_live("The moment lies outside the contract's days.", at_us, reason)


def _not_live(detail: str, at_us: int, reason: str) -> GrantNotLive:
    return GrantNotLive(detail, at=rfc3339(from_epoch_us(at_us)), reason=reason)
