"""Stripe's webhooks: believed only with a fresh signature by one of our secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import stripe

from app.billing.payments.processor import WebhookEvent, WebhookRefused
from app.billing.payments.stripe_answers import moment

TOLERANCE_S = 300
_TIME = re.compile(r"t=([0-9]{1,12})")


class _Data(msgspec.Struct):
    object: dict[str, Any]


class _Event(msgspec.Struct):
    """A snapshot event; thin ones have another `object`. Members that we do not read may come."""

    object: Literal["event"]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    created: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
    livemode: bool
    data: _Data
    account: str | None = None


def verify_webhook(
    body: bytes, signature: str | None, at: datetime, secrets: Iterable[str], *, live: bool
) -> WebhookEvent:
    """The event that one of `secrets` signed within 300 s of `at`; else `WebhookRefused`.

    Two secrets are active while one is rotated. An event of the other mode (test or live) and a
    thin event are refused even when they are signed.
    """
    signed_at = _signed_at(signature or "")
    if not any(_is_signed(body, signature, secret) for secret in secrets):
        raise WebhookRefused("no signature by one of our secrets")
    # The SDK would read the machine's clock, and takes what comes from the future.
    if abs(at.timestamp() - signed_at) > TOLERANCE_S:
        raise WebhookRefused("signed too long ago, or by a clock that is wrong")
    return _event(body, live=live)


def _signed_at(header: str) -> int:
    if not header.isascii():
        # The SDK compares signatures as text, and fails on what is not ASCII.
        raise WebhookRefused("not a signature header")
    times = [match[1] for item in header.split(",") if (match := _TIME.fullmatch(item))]
    if len(times) != 1:
        raise WebhookRefused("no time in the signature header")
    return int(times[0])


def _is_signed(body: bytes, header: str | None, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _event(body: bytes, *, live: bool) -> WebhookEvent:
    try:
        event = msgspec.json.decode(body, type=_Event)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WebhookRefused(f"not an event of Stripe's: {error}") from error
    if event.livemode is not live:
        raise WebhookRefused("an event of the other mode")
    return WebhookEvent(
        event_id=event.id,
        kind=event.type,
        created_at=moment(event.created),
        account=event.account,
        subject=event.data.object,
    )
