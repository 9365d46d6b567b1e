"""How an operation says no.

Refusal            a rule said no and nothing changed         4xx
├── Malformed      the request cannot be read                 400
├── NotSignedIn    no token, or one that does not hold        401
├── NotAllowed     scope or role is missing                   403
├── RowNotFound    missing, or not yours                      404
├── StepNotAllowed the state forbids it                       409
├── EditConflict   If-Match names an older edit               412
└── RuleBroken     a rule of the business refuses             422
Outage             another system failed; try again           503

A rule of a package is a subclass in its `errors.py`, with a slug of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar


class Refusal(Exception):
    """A rule said no. The transaction rolls back; `keep` is what must be remembered all the same.

    `keep` is called with a session of a fresh transaction, committed before the answer goes out.
    """

    status: ClassVar[int] = 422
    slug: ClassVar[str] = "refused"
    title: ClassVar[str] = "Refused"

    def __init__(
        self,
        detail: str,
        *,
        keep: Callable[[Any], None] | None = None,
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.keep = keep
        self.headers: Mapping[str, str] = headers or {}
        self.facts = facts


class Malformed(Refusal):
    """The request cannot be read."""

    status = 400
    slug = "malformed"
    title = "Malformed request"


class NotSignedIn(Refusal):
    """No token, or one that does not hold."""

    status = 401
    slug = "not-signed-in"
    title = "Not signed in"


class NotAllowed(Refusal):
    """The token or role does not allow this."""

    status = 403
    slug = "not-allowed"
    title = "Not allowed"


class RowNotFound(Refusal):
    """There is no such thing, or it is not yours: the answer is the same."""

    status = 404
    slug = "not-found"
    title = "Not found"


class StepNotAllowed(Refusal):
    """The state of the thing forbids this step."""

    status = 409
    slug = "step-not-allowed"
    title = "Not in this state"


class EditConflict(Refusal):
    """Somebody else has edited it since you read it."""

    status = 412
    slug = "edit-conflict"
    title = "Edited meanwhile"


class RuleBroken(Refusal):
    """A rule of the business refuses."""

    status = 422
    slug = "rule-broken"
    title = "A rule refuses this"


class Outage(Exception):
    """A system that we depend on failed; nothing is lost and the same request may be repeated."""

    status: ClassVar[int] = 503
    slug: ClassVar[str] = "unavailable"
    title: ClassVar[str] = "Temporarily unavailable"

    def __init__(self, detail: str, *, retry_after_s: int = 1, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.facts = facts
