"""How metering says no.

NotAllowed
├── NoGrant            no contract of yours opens this listing now          403
├── GrantSuspended     the contract is suspended                            403
├── PurposeNotAllowed  the licence or the contract is for another purpose   403
└── ChannelNotAllowed  the licence does not allow this way of delivery      403
StepNotAllowed
└── ContractUnclear    several contracts open this listing; name one        409
RuleBroken
├── ExportTooLarge     more events are asked for than go into one file      422
├── KeyReused          the Idempotency-Key belongs to another request       422
├── KeyOutgrown        the repeat's answer is more than its key has paid    422
└── KeySpent           the Idempotency-Key gives its data no more           422
Refusal
├── MethodNotOffered   this path is read with GET                           405
├── BodyTooSlow        the body of a call did not come in time              408
├── QuotaExhausted     a window has no room for the call                    429
└── RateLimited        calls come faster, or too many of them at once       429
Outage
└── GrantsStale        what was agreed cannot be known at the moment        503
"""

from __future__ import annotations

from app.kernel.refusals import NotAllowed, Outage, Refusal, RuleBroken, StepNotAllowed


class NoGrant(NotAllowed):
    """No contract of the caller opens this listing now."""

    slug = "no-grant"
    title = "No contract for this data"


class GrantSuspended(NotAllowed):
    """The contract is suspended."""

    slug = "grant-suspended"
    title = "Contract suspended"


class PurposeNotAllowed(NotAllowed):
    """The licence or the contract is for another purpose."""

    slug = "purpose-not-allowed"
    title = "Purpose not allowed"


class ChannelNotAllowed(NotAllowed):
    """The licence does not allow this way of delivery."""

    slug = "channel-not-allowed"
    title = "Delivery channel not allowed"


class ContractUnclear(StepNotAllowed):
    """Several contracts open this listing: the caller must name the one to count under."""

    slug = "contract-unclear"
    title = "Name the contract"


class KeyReused(RuleBroken):
    """The same Idempotency-Key came with another request."""

    slug = "idempotency-key-reused"
    title = "Idempotency key reused"


class KeySpent(RuleBroken):
    """The Idempotency-Key has given its data as often, or for as long, as it may."""

    slug = "idempotency-key-spent"
    title = "Idempotency key spent"


class KeyOutgrown(RuleBroken):
    """The answer to a repeat has more units than its Idempotency-Key has paid for."""

    slug = "idempotency-key-outgrown"
    title = "Idempotency key outgrown"


class ExportTooLarge(RuleBroken):
    """More events are asked for than go into one file."""

    slug = "export-too-large"
    title = "Export too large"


class MethodNotOffered(Refusal):
    """This path is read with GET."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not offered"


class BodyTooSlow(Refusal):
    """The body of a call did not come in time."""

    status = 408
    slug = "body-too-slow"
    title = "Body too slow"


class QuotaExhausted(Refusal):
    """A window has no room for the call."""

    status = 429
    slug = "quota-exhausted"
    title = "Quota exhausted"


class RateLimited(Refusal):
    """Calls come faster than the plan allows, or hold more of our memory than one buyer may."""

    status = 429
    slug = "rate-limited"
    title = "Too fast"


class GrantsStale(Outage):
    """What was agreed and revoked lately cannot be known at the moment: nothing is served."""
