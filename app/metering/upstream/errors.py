"""How a call to an upstream fails.

Malformed
└── PathRefused        the path or query cannot be forwarded safely       400
Refusal
└── MethodNotAllowed   the listing does not offer this method             405
Outage                 nothing is billed
├── UpstreamFailed     no answer, a broken one, a redirect, 401 or 5xx    502
│   └── UpstreamUnreachable   no connection came about
├── UpstreamTooLarge   the answer is over the listing's cap               502
├── UpstreamTimeout    not complete within the listing's deadline         504
└── UpstreamBusy       too many calls to this provider at once            503
"""

from __future__ import annotations

from app.kernel.refusals import Malformed, Outage, Refusal


class PathRefused(Malformed):
    """The path or query of a call cannot be forwarded safely."""

    slug = "path-refused"
    title = "Path not forwarded"


class MethodNotAllowed(Refusal):
    """The listing does not offer this method."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not offered"


class UpstreamFailed(Outage):
    """The provider's upstream gave no usable answer.

    `reason` is for operators: breaker, address, unreachable, broken, status, redirect, credential,
    token, echo, headers, loop. The buyer is told only the upstream's status, where there was one.
    """

    status = 502
    slug = "upstream-failed"
    title = "The provider's service failed"

    def __init__(
        self, reason: str, *, upstream_status: int | None = None, retry_after_s: int = 1
    ) -> None:
        facts = {} if upstream_status is None else {"upstream_status": upstream_status}
        super().__init__(
            "The provider's service gave no usable answer; the call is not billed.",
            retry_after_s=retry_after_s,
            **facts,
        )
        self.reason = reason


class UpstreamUnreachable(UpstreamFailed):
    """No connection to the upstream came about; enough of these open its breaker."""

    def __init__(self) -> None:
        super().__init__("unreachable")


class UpstreamTooLarge(Outage):
    """The upstream's answer is over the cap of the listing."""

    status = 502
    slug = "upstream-too-large"
    title = "The provider's answer is too large"

    def __init__(self, body_max_bytes: int) -> None:
        super().__init__(
            "The provider's answer is larger than the listing allows; the call is not billed.",
            body_max_bytes=body_max_bytes,
        )


class UpstreamTimeout(Outage):
    """The upstream did not answer completely in time."""

    status = 504
    slug = "upstream-timeout"
    title = "The provider's service took too long"

    def __init__(self) -> None:
        super().__init__("The provider's service took too long; the call is not billed.")


class UpstreamBusy(Outage):
    """Too many calls to one provider are under way."""

    slug = "upstream-busy"
    title = "The provider's service is busy"

    def __init__(self) -> None:
        super().__init__("Too many calls to this provider are under way; try again.")
