"""Refusals: the errors that Stripe answers, as exceptions."""

from __future__ import annotations

from typing import Any


class StripeRefusal(Exception):
    """An error object of Stripe's. `executed` errors are kept under the idempotency key.

    Stripe keeps no answer for a request that failed validation: nothing had begun.
    """

    def __init__(
        self, status: int, kind: str, message: str, *, executed: bool = False, **facts: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.error = {"type": kind, "message": message, **_given(facts)}

    def body(self, request_id: str) -> dict[str, Any]:
        """The whole answer."""
        return {"error": {**self.error, "request_log_url": f"https://sandbox.invalid/{request_id}"}}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeRefusal:
    """The request is malformed or asks for what cannot be."""
    return StripeRefusal(400, "invalid_request_error", message, param=param, code=code)


def no_such(kind: str, given: str, param: str | None = None) -> StripeRefusal:
    """Something that the request names is not there: 404 in its path, 400 in a parameter."""
    return StripeRefusal(
        400 if param else 404,
        "invalid_request_error",
        f"No such {kind.replace('_', ' ')}: '{given}'",
        param=param or "id",
        code="resource_missing",
    )


def too_late(message: str, code: str, **facts: Any) -> StripeRefusal:
    """The state of the thing forbids this now; decided while executing, so the answer is kept."""
    return StripeRefusal(400, "invalid_request_error", message, executed=True, code=code, **facts)


def declined(decline_code: str, intent: dict[str, Any], charge_id: str | None) -> StripeRefusal:
    """The card said no."""
    code = "card_declined"
    message = "Your card was declined."
    if decline_code == "authentication_required":
        code = decline_code
        message = "This payment requires the customer to authenticate."
    return StripeRefusal(
        402,
        "card_error",
        message,
        executed=True,
        code=code,
        decline_code=decline_code,
        charge=charge_id,
        payment_intent=intent,
    )


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
