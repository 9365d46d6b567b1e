"""How a reported event is refused; each stands in the answer beside its event, never alone.

Malformed
└── EventUnreadable    members are missing or wrong: `errors` name them     400
StepNotAllowed
├── NotReported        the listing is not delivered outside the platform    409
├── GrantNotLive       the contract was not in force then                   409
├── AlreadyCorrected   another event has taken its place before             409
└── ReportConflict     this (source, id) has said something else before     409
RuleBroken
├── UsageTooLate       the use lies too far back                            422
└── UsageInFuture      the use has not happened yet                         422
"""

from __future__ import annotations

from app.kernel.refusals import Malformed, RuleBroken, StepNotAllowed


class EventUnreadable(Malformed):
    """Members of the event are missing or wrong."""

    slug = "event-unreadable"
    title = "Event cannot be read"


class NotReported(StepNotAllowed):
    """The listing is delivered by the platform, which meters it itself."""

    slug = "not-reported"
    title = "Listing is not reported"


class GrantNotLive(StepNotAllowed):
    """The contract was not in force when the use happened."""

    slug = "grant-not-live"
    title = "Contract not in force"


class AlreadyCorrected(StepNotAllowed):
    """Another event has taken the place of the one to correct."""

    slug = "already-corrected"
    title = "Already corrected"


class ReportConflict(StepNotAllowed):
    """The same source and id have said something else before."""

    slug = "report-conflict"
    title = "Reported otherwise before"


class UsageTooLate(RuleBroken):
    """The use lies further back than the bound."""

    slug = "usage-too-late"
    title = "Usage too late"


class UsageInFuture(RuleBroken):
    """The use lies ahead of our clock."""

    slug = "usage-in-future"
    title = "Usage in the future"
