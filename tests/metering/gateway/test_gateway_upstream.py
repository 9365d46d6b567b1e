"""Calls through the gateway to a provider's own API: what passes, and what is counted."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.metering.gateway.denials import DENIED
from tests.metering.asking import Asking
from tests.metering.grant_documents import quota

OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\n"
    b"Content-Disposition: inline\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
)


def answer_with(status: int) -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    return head.encode() + b"no"


def test_an_answer_passes_as_an_attachment_and_is_counted(installation: Installation) -> None:
    asking = Asking(installation, OK, windows=[quota("contract", 5)])
    answer = asking.call()
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "set-cookie" not in answer.headers
    assert answer.headers["ratelimit"].startswith('"quota-contract";r=4;')
    assert asking.server.heads[0].startswith(b"GET /base/v1/cities?q=1 HTTP/1.1")
    assert b"uthorization" not in asking.server.heads[0]
    event = asking.events()[0]
    assert event.event_id == answer.headers["usage-receipt"]
    assert (event.operation, event.status, event.bytes, event.units) == ("api", 200, 5, 1)


def test_the_path_is_forwarded_as_it_was_written(installation: Installation) -> None:
    asking = Asking(installation, OK)
    asking.call("/a%2Fb//c")
    assert asking.server.heads[0].startswith(b"GET /base/a%2Fb//c HTTP/1.1")


@pytest.mark.parametrize("status", [400, 404, 409, 429])
def test_a_request_that_the_provider_refuses_passes_and_costs_nothing(
    installation: Installation, status: int
) -> None:
    asking = Asking(installation, answer_with(status))
    answer = asking.call()
    assert (answer.status, answer.body) == (status, b"no")
    assert "usage-receipt" not in answer.headers
    assert asking.events() == []


def test_a_status_that_the_terms_bill_is_counted(installation: Installation) -> None:
    asking = Asking(installation, answer_with(404), billable_statuses=[200, 404])
    assert "usage-receipt" in asking.call().headers
    assert [(event.status, event.units) for event in asking.events()] == [(404, 1)]


@pytest.mark.parametrize(
    ("answer", "status", "slug"),
    [
        (answer_with(500), 502, "upstream-failed"),
        (answer_with(302), 502, "upstream-failed"),
        (b"", 502, "upstream-failed"),
        (OK.replace(b"th: 5", b"th: 5000"), 502, "upstream-too-large"),
        (OK.replace(b"th: 5", b"th: 9"), 502, "upstream-failed"),
    ],
)
def test_an_upstream_that_fails_is_not_billed(
    installation: Installation, answer: bytes, status: int, slug: str
) -> None:
    asking = Asking(installation, answer)
    found = asking.call()
    assert (found.status, found.slug) == (status, slug)
    assert asking.events() == []


def test_an_exhausted_quota_does_not_trouble_the_provider(installation: Installation) -> None:
    asking = Asking(installation, OK, windows=[quota("contract", 1)])
    answers = asking.calls("/x", "GET", 4)
    assert [answer.status for answer in answers] == [200, 429, 429, 429]
    assert len(asking.server.heads) == 1


def test_a_method_that_is_not_offered_is_refused(installation: Installation) -> None:
    asking = Asking(installation, OK)
    answer = asking.call("/x", "DELETE")
    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    assert asking.server.heads == []


def test_a_repeat_under_its_key_asks_again_and_pays_once(installation: Installation) -> None:
    asking = Asking(installation, OK, windows=[quota("contract", 1)])
    answers = asking.calls("/x", "GET", 5, {"idempotency-key": "one"})
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 422]
    assert len({answer.headers.get("usage-receipt") for answer in answers[:4]}) == 1
    assert len(asking.server.heads) == 4
    assert len(asking.events()) == 1


def denials(installation: Installation) -> list[dict[str, Any]]:
    with installation.transaction(OPERATOR, writes=False) as session:
        leaves = session.exec(select(Leaf).where(Leaf.kind == DENIED).order_by(col(Leaf.id)))
        return [json.loads(leaf.body) for leaf in leaves]


def test_an_address_that_is_denied_is_told_to_the_log_once_a_minute(
    installation: Installation, clock: SetClock
) -> None:
    asking = Asking(installation, OK, allowed=False)
    for _ in range(2):  # two workers
        answers = asking.calls("/x", "GET", 3)
        assert [answer.slug for answer in answers] == ["upstream-failed"] * 3
    clock.advance(timedelta(minutes=1))
    asking.calls("/x", "GET", 3)
    assert asking.server.connections == 0
    told = denials(installation)
    assert [one["subject"] for one in told] == ["lst_one"] * 2
    assert told[0]["organisations"] == ["org_provider"]
    assert told[0]["facts"]["base_url"].startswith("http://127.0.0.1:")


def test_a_denial_that_could_not_be_told_is_told_with_the_next_call(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def failing(*args: Any, **options: Any) -> None:
        tries.append(1)
        raise RuntimeError

    asking = Asking(installation, OK, allowed=False)
    with monkeypatch.context() as patch:
        patch.setattr("app.metering.gateway.denials.record", failing)
        assert asking.call().slug == "upstream-failed"
    assert (len(tries), denials(installation)) == (1, [])
    asking.call()
    assert len(denials(installation)) == 1
