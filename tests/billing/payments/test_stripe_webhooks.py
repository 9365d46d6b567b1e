"""A webhook is believed only with a fresh signature by one of our secrets (F-B1)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.billing.payments.processor import WebhookRefused
from app.billing.payments.stripe_webhooks import verify_webhook
from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import running_double
from app.sandbox.stripe_double.webhooks import sign_webhook
from tests.conftest import START
from tests.sandbox.stripe_double.conftest import client_of

SECRET = "whsec_new"
OLD_SECRET = "whsec_old"
AT_S = int(START.timestamp())
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.succeeded",
    "created": AT_S,
    "livemode": False,
    "data": {"object": {"id": "ch_1", "object": "charge"}},
}


def verify(body: bytes, header: str | None, *secrets: str, live: bool = False) -> Any:
    return verify_webhook(body, header, START, secrets or (SECRET,), live=live)


def signed(event: Any, secret: str = SECRET, at_s: int = AT_S) -> tuple[bytes, str]:
    webhook = sign_webhook(json.dumps(event).encode(), secret, at_s)
    return webhook.body, webhook.signature


def test_what_the_double_signs_is_believed() -> None:
    clock = SetClock(START)
    with running_double(DoubleOptions(webhook_secret=SECRET, clock=clock)) as double:
        customer = client_of(double).v1.customers.create({"name": "买方"})
        (webhook,) = double.take_webhooks()
    event = verify(webhook.body, webhook.signature)
    assert (event.kind, event.created_at, event.account) == ("customer.created", START, None)
    assert (event.subject["id"], event.subject["name"]) == (customer.id, "买方")


def test_two_secrets_are_active_while_one_is_rotated() -> None:
    for secret in (SECRET, OLD_SECRET):
        body, header = signed(EVENT, secret)
        assert verify(body, header, SECRET, OLD_SECRET).event_id == "evt_1"
    both = f"{signed(EVENT)[1]},{signed(EVENT, OLD_SECRET)[1].split(',')[1]}"
    assert verify(signed(EVENT)[0], both, OLD_SECRET).event_id == "evt_1"
    with pytest.raises(WebhookRefused):
        verify(*signed(EVENT, OLD_SECRET), SECRET)


def test_an_event_of_a_connected_account_says_so() -> None:
    assert verify(*signed({**EVENT, "account": "acct_1"})).account == "acct_1"


@pytest.mark.parametrize("age_s", [-300, -1, 0, 299, 300])
def test_a_signature_holds_for_300_seconds(age_s: int) -> None:
    assert verify(*signed(EVENT, at_s=AT_S - age_s)).kind == "charge.succeeded"


@pytest.mark.parametrize("age_s", [-301, 301, 3 * 24 * 3600])
def test_an_old_or_future_signature_is_refused(age_s: int) -> None:
    with pytest.raises(WebhookRefused, match="long ago"):
        verify(*signed(EVENT, at_s=AT_S - age_s))


def test_part_of_a_second_does_not_count_against_a_webhook() -> None:
    at = START + timedelta(seconds=299, microseconds=999_999)
    body, header = signed(EVENT)
    assert verify_webhook(body, header, at, (SECRET,), live=False).event_id == "evt_1"


def test_a_body_altered_by_any_one_byte_is_refused() -> None:
    body, header = signed(EVENT)
    for index in range(len(body)):
        altered = bytearray(body)
        altered[index] ^= 1
        with pytest.raises(WebhookRefused):
            verify(bytes(altered), header)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: None,
        lambda header: "",
        lambda header: header.split(",")[0],
        lambda header: header.split(",")[1],
        lambda header: header.replace("v1=", "v0="),
        lambda header: header.replace("t=", "t=1,t="),
        lambda header: f"{header},t=1",
        lambda header: header.replace("t=", "t=x"),
        lambda header: header.replace("t=", "t=-"),
        lambda header: header[:-1],
        lambda header: header.upper(),
        lambda header: "t=" + "9" * 5_000 + ",v1=00",
        lambda header: "v1=é,t=1",
    ],
)
def test_a_header_that_is_missing_or_bent_is_refused(change: Any) -> None:
    body, header = signed(EVENT)
    with pytest.raises(WebhookRefused):
        verify(body, change(header))


def test_nothing_is_believed_without_a_secret() -> None:
    body, header = signed(EVENT, "")
    with pytest.raises(WebhookRefused):
        verify_webhook(body, header, START, (), live=False)
    with pytest.raises(WebhookRefused):
        verify_webhook(body, header, START, ("",), live=False)


@pytest.mark.parametrize(
    "event",
    [
        {**EVENT, "livemode": True},
        {**EVENT, "livemode": None},
        {**EVENT, "object": "v2.core.event"},
        {**EVENT, "data": {"object": "ch_1"}},
        {**EVENT, "data": []},
        {**EVENT, "created": "soon"},
        {**EVENT, "created": 10**30},
        {name: EVENT[name] for name in EVENT if name != "id"},
        {},
        [],
        None,
        "event",
    ],
)
def test_a_signed_body_that_is_no_event_for_us_is_refused(event: Any) -> None:
    with pytest.raises(WebhookRefused):
        verify(*signed(event))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"object": "event"'])
def test_a_signed_body_that_is_no_json_is_refused(body: bytes) -> None:
    webhook = sign_webhook(body, SECRET, AT_S)
    with pytest.raises(WebhookRefused):
        verify(webhook.body, webhook.signature)


def test_a_live_installation_takes_live_events_only() -> None:
    assert verify(*signed({**EVENT, "livemode": True}), live=True).event_id == "evt_1"
    with pytest.raises(WebhookRefused, match="other mode"):
        verify(*signed(EVENT), live=True)
