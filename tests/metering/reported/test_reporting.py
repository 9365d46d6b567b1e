"""Reported use: posted once, answered one by one, and never dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.http.examples import example_id
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock, epoch_us, from_rfc3339
from app.metering.granting import apply_grant
from app.metering.tables import usage_event, usage_report, usage_window
from tests.conftest import Api, Caller
from tests.metering.grant_documents import PROVIDER, grant_document, quota
from tests.metering.reports import (
    DELIVERED,
    PATH,
    STRUCTURED,
    correction,
    items,
    report,
    send,
    statuses,
)
from tests.metering.store import fsck, give


@pytest.fixture
def provider(api: Api) -> Caller:
    return api.as_client(PROVIDER, "usage:write", "usage:read")


def rows(installation: Installation, table: sa.Table) -> Sequence[sa.Row[Any]]:
    with installation.usage_transaction(writes=False) as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def used(installation: Installation) -> dict[str, int]:
    return {row.kind: row.used_units for row in rows(installation, usage_window)}


def test_a_batch_is_posted_in_its_order_and_counted(
    installation: Installation, provider: Caller
) -> None:
    give(installation, windows=[quota("month", 100)], meter="row", **DELIVERED)
    found = items(send(provider, report("one", 10), report("two", 20, time="2026-11-02T00:45:00Z")))
    assert [(one["index"], one["status"], one["number"], one["units"]) for one in found] == [
        (0, "posted", 1, 10),
        (1, "posted", 2, 20),
    ]
    assert found[0]["occurred_at"] == "2026-11-02T00:30:00Z"
    assert found[0]["settled_at"] == "2026-11-02T01:00:00Z"
    assert used(installation) == {"month": 30, "contract": 30}
    shown = provider.get(f"/api/v1/usage/events/{found[1]['event_id']}").json()
    assert (shown["units"], shown["meter"], shown["operation"]) == (20, "row", "reported")
    assert shown["reported"] == {
        "source": "/deliveries",
        "id": "two",
        "occurred_at": "2026-11-02T00:45:00Z",
        "corrects": None,
    }
    assert fsck(installation) == []


def test_structured_and_binary_events_are_the_same_events(
    installation: Installation, provider: Caller
) -> None:
    give(installation, **DELIVERED)
    first = provider.post(PATH, json=report("one", 3), headers={"Content-Type": STRUCTURED})
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "cn.zhigu.usage.reported",
        "ce-source": "/deliveries",
        "ce-id": "one",
        "ce-subject": "ctr_of_grt_one",
        "ce-time": "2026-11-02T08:30:00+08:00",
    }
    again = provider.post(PATH, json={"units": 3}, headers=headers)
    assert statuses(first) + statuses(again) == ["posted", "duplicate"]
    assert items(again)[0]["event_id"] == items(first)[0]["event_id"]
    for refused, status in (
        (provider.post(PATH, json={"units": 3}), 415),
        (provider.post(PATH, content=b"<a/>", headers={"Content-Type": "application/xml"}), 415),
        (
            provider.post(
                PATH, content=b"{}", headers={"Content-Type": f"{STRUCTURED}; charset=gbk"}
            ),
            415,
        ),
        (send(provider, *[report("n", 1)] * 1001), 400),
        (
            provider.post(
                PATH, json={}, headers={"Content-Type": "application/cloudevents-batch+json"}
            ),
            400,
        ),
    ):
        assert refused.status_code == status, refused.text
    assert items(send(provider)) == []


def test_the_document_shows_a_report_in_each_of_the_three_modes(
    installation: Installation, provider: Caller, api: Api, clock: SetClock
) -> None:
    give(installation, contract_id=example_id("ctr"), **DELIVERED)
    clock.set_to(from_rfc3339("2026-11-03T02:00:00Z"))
    document = api.anonymous().get("/openapi.json").json()
    told = document["paths"][PATH]["post"]
    content = told["requestBody"]["content"]
    headers = {
        one["name"]: one["example"] for one in told["parameters"] if one["name"].startswith("ce-")
    }
    said = []
    for media_type, body in content.items():
        sent = headers if media_type == "application/json" else {}
        answer = provider.post(
            PATH, json=body["example"], headers={"Content-Type": media_type, **sent}
        )
        said += statuses(answer)
    # One event, the same again and its correction, the same once more.
    assert said == ["posted", "duplicate", "posted", "duplicate"]


def test_every_event_is_answered_and_the_good_ones_are_posted(
    installation: Installation, provider: Caller, clock: SetClock
) -> None:
    give(installation, windows=[quota("day", 50)], **DELIVERED)
    give(installation, "grt_hosted")
    give(installation, "grt_foreign", provider_id="org_other", **DELIVERED)
    answer = send(
        provider,
        report("good", 30),
        report("bad", 0),
        report("unknown", 1, subject="ctr_nobodys"),
        report("foreign", 1, subject="ctr_of_grt_foreign"),
        report("hosted", 1, subject="ctr_of_grt_hosted"),
        report("wild", 1_000_000),
        report("early", 1, time="2026-11-02T01:05:00.000001Z"),
        report("in time", 1, time="2026-11-02T01:05:00Z"),
        report("late", 1, time="2026-08-04T00:59:59Z"),
        report("before", 1, time="2026-10-31T15:59:59Z"),
        report("good", 30),
        report("good", 31),
        "no event",
    )
    assert statuses(answer) == [
        "posted",
        "refused:event-unreadable",
        "refused:not-found",
        "refused:not-found",
        "refused:not-reported",
        "refused:quota-exhausted",
        "refused:usage-in-future",
        "posted",
        "refused:usage-too-late",
        "refused:grant-not-live",
        "duplicate",
        "conflict:report-conflict",
        "refused:event-unreadable",
    ]
    found = items(answer)
    unknown, foreign = (dict(found[place]["problem"]) for place in (2, 3))
    assert unknown == foreign
    assert found[1]["problem"]["errors"][0]["pointer"] == "/data/units"
    assert found[5]["problem"]["windows"][0]["used_units"] == 31
    assert {key: answer.json()[key] for key in ("posted", "duplicate", "conflict", "refused")} == {
        "posted": 2, "duplicate": 1, "conflict": 1, "refused": 9,
    }  # fmt: skip
    assert used(installation) == {"day": 31, "contract": 31}
    assert fsck(installation) == []


def test_what_was_refused_stands_in_the_log_once(
    installation: Installation, provider: Caller
) -> None:
    give(installation, **DELIVERED)
    for _ in range(3):
        send(provider, *[report(f"bad {n}", 0) for n in range(60)], report("good", 1))
    send(provider, report("good", 1))
    with installation.transaction(OPERATOR, writes=False) as session:
        leaves = session.exec(select(Leaf).where(Leaf.kind == "usage:reports_refused")).all()
    [leaf] = leaves
    assert (leaf.subject_id, leaf.organisations) == (PROVIDER, [PROVIDER])
    assert '"count":60' in leaf.body and '"bad 49"' in leaf.body and '"bad 50"' not in leaf.body


def test_the_same_batch_ten_times_at_once_posts_once(
    installation: Installation, provider: Caller
) -> None:
    for name in ("grt_one", "grt_two"):
        give(installation, name, **DELIVERED)
    events = [
        report(f"{n}", n, subject=f"ctr_of_grt_{('one', 'two')[n % 2]}") for n in range(1, 21)
    ]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: send(provider, *events), range(10)))
    answered = [statuses(answer) for answer in answers]
    for place in range(20):
        assert sorted(one[place] for one in answered) == ["duplicate"] * 9 + ["posted"]
    assert len({tuple(item["event_id"] for item in items(answer)) for answer in answers}) == 1
    assert sum(row.units for row in rows(installation, usage_event)) == 210
    assert fsck(installation) == []


def test_one_name_is_reported_under_one_contract(
    installation: Installation, provider: Caller
) -> None:
    for name in ("grt_one", "grt_two"):
        give(installation, name, **DELIVERED)
    events = [report("same", 1), report("same", 1, subject="ctr_of_grt_two")]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: statuses(send(provider, events[n % 2])), range(8)))
    assert sorted(answers) == [["conflict:report-conflict"]] * 4 + [["duplicate"]] * 3 + [
        ["posted"]
    ]
    assert len(rows(installation, usage_report)) == 1


def test_two_providers_may_use_the_same_names(installation: Installation, api: Api) -> None:
    give(installation, **DELIVERED)
    give(installation, "grt_two", provider_id="org_other", **DELIVERED)
    other = api.as_client("org_other", "usage:write")
    provider = api.as_client(PROVIDER, "usage:write")
    assert statuses(send(provider, report("one", 1))) == ["posted"]
    assert statuses(send(other, report("one", 1, subject="ctr_of_grt_two"))) == ["posted"]


def test_a_correction_takes_the_place_of_the_event_that_it_names(
    installation: Installation, provider: Caller, clock: SetClock
) -> None:
    give(installation, windows=[quota("day", 50)], **DELIVERED)
    send(provider, report("one", 40))
    clock.advance(timedelta(minutes=1))
    fix = correction("two", 45, "one", time="2026-11-02T01:01:00Z")
    [found] = items(send(provider, fix))
    assert (found["status"], found["number"], found["units"]) == ("posted", 3, 45)
    assert (found["corrects"], found["occurred_at"]) == (1, "2026-11-02T00:30:00Z")
    assert statuses(send(provider, fix)) == ["duplicate"]
    assert used(installation) == {"day": 45, "contract": 45}
    void = rows(installation, usage_event)[1]
    assert (void.kind, void.voids, void.units) == ("void", 1, 40)

    # It does not fit: the event that it would replace stays as it is.
    assert statuses(send(provider, correction("three", 51, "two"))) == ["refused:quota-exhausted"]
    assert used(installation) == {"day": 45, "contract": 45}
    # What was corrected is corrected no more; a correction may be, down to nothing.
    assert statuses(
        send(
            provider,
            correction("four", 1, "one"),
            correction("five", 0, "two"),
            correction("six", 1, "never reported"),
        )
    ) == ["refused:already-corrected", "posted", "refused:not-found"]
    assert used(installation) == {"day": 0, "contract": 0}
    assert fsck(installation) == []


def test_a_correction_reaches_as_far_back_as_the_use_that_it_corrects(
    installation: Installation, provider: Caller, clock: SetClock
) -> None:
    give(installation, **DELIVERED)
    send(provider, report("one", 40))
    clock.advance(timedelta(days=90))
    late = correction("two", 1, "one", time="2027-01-31T00:00:00Z")
    assert statuses(send(provider, late)) == ["refused:usage-too-late"]
    assert statuses(send(provider, report("one", 40))) == ["duplicate"]


def test_use_is_judged_by_the_terms_of_its_moment(
    installation: Installation, provider: Caller, clock: SetClock
) -> None:
    def change(epoch: int, **changes: Any) -> None:
        document = grant_document("grt_one", epoch=epoch, **DELIVERED, **changes)
        with installation.usage_transaction() as connection:
            assert apply_grant(connection, document, clock.now_us())

    change(1)
    clock.advance(timedelta(hours=1))  # 02:00
    change(2, live=False, reason="suspended")
    during = report("during", 1, time="2026-11-02T02:30:00Z")
    clock.advance(timedelta(hours=1))  # 03:00
    assert statuses(
        send(provider, report("told late", 1, time="2026-11-02T01:30:00Z"), during)
    ) == ["posted", "refused:grant-not-live"]
    change(3)
    answer = send(
        provider,
        report("too early", 1, time="2026-11-02T00:59:00Z"),
        report("before", 1, time="2026-11-02T01:30:00Z"),
        during,
        report("after", 1, time="2026-11-02T03:00:00Z"),
    )
    assert statuses(answer) == [
        "refused:grant-not-live",
        "posted",
        "refused:grant-not-live",
        "posted",
    ]
    assert items(answer)[2]["problem"]["reason"] == "suspended"


def test_what_was_delivered_until_the_end_may_be_told_of_and_corrected_after_it(
    installation: Installation, provider: Caller, clock: SetClock
) -> None:
    windows = [quota("contract", 10), quota("month", 20)]
    document = grant_document(windows=windows, **DELIVERED)
    ends_at_us = document["ends_at_us"] = epoch_us(from_rfc3339("2026-11-30T16:00:00Z"))
    over = {**document, "epoch": 2, "live": False, "reason": "expired"}
    clock.set_to(from_rfc3339("2026-11-01T00:00:00Z"))
    for one, at in ((document, clock.now_us()), (over, ends_at_us)):
        with installation.usage_transaction() as connection:
            assert apply_grant(connection, one, at)
    last, first_after = "2026-11-30T15:59:59.999999Z", "2026-11-30T16:00:00Z"
    clock.set_to(from_rfc3339("2026-12-02T00:00:00Z"))
    assert statuses(
        send(
            provider,
            report("last", 8, time=last),
            report("after", 1, time=first_after),
            report("too much", 3, time=last),
        )
    ) == ["posted", "refused:grant-not-live", "refused:quota-exhausted"]
    fix = correction("less", 5, "last", time="2026-12-02T00:00:00Z")
    assert statuses(send(provider, fix, report("more", 5, time=last))) == ["posted", "posted"]
    assert used(installation) == {"contract": 10, "month": 10}
    clock.set_to(from_rfc3339("2027-03-01T00:00:00Z"))
    assert statuses(send(provider, report("at last", 1, time=last))) == ["refused:usage-too-late"]
    assert fsck(installation) == []


def test_a_buyer_cannot_report_and_an_admin_has_no_contracts_to_report_for(
    installation: Installation, api: Api
) -> None:
    give(installation, **DELIVERED)
    for organisation, roles in (("org_buyer", ()), ("org_alliance", ("admin",))):
        caller = api.as_client(organisation, "usage:write", roles=roles)
        assert statuses(send(caller, report("one", 1))) == ["refused:not-found"]
    assert rows(installation, usage_report) == []


def test_events_are_posted_whole_or_not_at_all_whichever_statement_fails(
    installation: Installation, provider: Caller
) -> None:
    give(installation, windows=[quota("day", 50)], **DELIVERED)
    send(provider, report("one", 1))
    before = rows(installation, usage_event), rows(installation, usage_report), used(installation)
    for number in range(1, 100):
        with failing(installation.usage, number) as seen:
            answer = send(provider, report("two", 2), correction("three", 3, "one"))
        if len(seen) < number:
            break
        assert answer.status_code == 503, (seen[-1], answer.text)
        after = rows(installation, usage_event), rows(installation, usage_report)
        assert (*after, used(installation)) == before, seen[-1]
    assert number > 8, "the statements were really counted"
    assert statuses(answer) == ["posted", "posted"]
    assert used(installation) == {"day": 5, "contract": 5}
    assert fsck(installation) == []


@contextmanager
def failing(engine: sa.Engine, number: int) -> Iterator[list[str]]:
    """The store's `number`-th statement, counted from 1, fails; yields the statements so far."""
    seen: list[str] = []

    def fail(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)
        if len(seen) == number:
            raise OperationalError(statement, {}, Exception("the store is away"))

    sa.event.listen(engine, "before_cursor_execute", fail)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", fail)
