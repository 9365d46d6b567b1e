"""A method that is not offered is told so at once, and uses nothing of the rate or of a quota."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from app.db.installation import Installation
from tests.metering.asking import API, Asking
from tests.metering.gateway_client import (
    Caller,
    Story,
    check_problem,
    events,
    give,
    play,
    table,
)
from tests.metering.grant_documents import quota
from tests.metering.upstream.raw_server import answer

ROWS, FILE = "/data/world-gdp/rows", "/data/world-gdp/files/rows.csv"
ONE_A_SECOND = {"per_second": 1, "burst": 1}


class Case(NamedTuple):
    """A path, methods that it does not offer, and those that it does."""

    path: str
    wrong: tuple[str, ...]
    allow: str

    async def is_refused(self, caller: Caller, headers: Mapping[str, str] | None = None) -> None:
        for method in self.wrong:
            got = await caller.call(method, self.path, headers=headers)
            check_problem(got, 405, "method-not-allowed")
            assert got.headers["allow"] == self.allow
            assert "retry-after" not in got.headers


PATHS = pytest.mark.parametrize(
    "case",
    [
        Case(ROWS, ("POST", "HEAD", "DELETE", "OPTIONS", "get"), "GET"),
        Case(FILE, ("POST", "PUT"), "GET, HEAD"),
        Case(f"{API}/x", ("POST", "DELETE", "OPTIONS"), "GET, HEAD"),
    ],
    ids=["rows", "files", "api"],
)


def on_grant(installation: Installation, path: str, story: Story, **changes: Any) -> None:
    """Run `story` where one grant with `changes` opens `path`."""
    if path.startswith(API):
        Asking(installation, answer(b"data"), **changes).play(story)
        return
    file = {"name": "rows.csv", **table(installation)}
    give(installation, channels_allowed=["hosted", "file"], file=file, **changes)
    play(installation, story)


@PATHS
@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "one"}])
def test_a_wrong_method_takes_no_turn_by_the_rate_and_needs_none(
    case: Case, headers: dict[str, str], installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = SimpleNamespace(monotonic=lambda: 5.0)
    monkeypatch.setattr("app.metering.gateway.admission.time", stopped)

    async def story(caller: Caller) -> None:
        await case.is_refused(caller, headers)
        assert (await caller.get(case.path)).status == 200
        check_problem(await caller.get(case.path), 429, "rate-limited")
        await case.is_refused(caller, headers)

    on_grant(installation, case.path, story, rate=ONE_A_SECOND)
    assert [event.units for event in events(installation)] == [1]


@PATHS
def test_a_wrong_method_is_told_so_where_the_quota_is_full(
    case: Case, installation: Installation
) -> None:
    async def story(caller: Caller) -> None:
        await case.is_refused(caller)
        assert (await caller.get(case.path)).status == 200
        check_problem(await caller.get(case.path), 429, "quota-exhausted")
        await case.is_refused(caller)

    on_grant(installation, case.path, story, windows=[quota("contract", 1)])


def test_what_the_listing_offers_is_what_may_be_used(installation: Installation) -> None:
    asked = Asking(installation, answer(b"", "200 OK", "Connection: close"))

    async def story(caller: Caller) -> None:
        posts, heads = "/data/posts/api/x", "/data/heads/api/x"
        for path, method, allow in ((posts, "GET", "POST"), (heads, "GET", "HEAD")):
            got = await caller.call(method, path)
            check_problem(got, 405, "method-not-allowed")
            assert got.headers["allow"] == allow
        assert (await caller.call("POST", posts, body=b"")).status == 200
        assert (await caller.call("HEAD", heads)).status == 200

    asked.gives = [
        ("grt_posts", {"slug": "posts", "upstream": {"methods": ["POST"]}}),
        ("grt_heads", {"slug": "heads", "upstream": {"methods": ["HEAD"]}}),
    ]
    asked.play(story)


@pytest.mark.parametrize(
    ("token", "changes", "status", "slug"),
    [
        (None, {}, 401, "not-signed-in"),
        ("noscope", {}, 403, "not-allowed"),
        ("org_stranger", {}, 404, "not-found"),
        ("org_buyer", {"live": False, "reason": "suspended"}, 403, "grant-suspended"),
        ("org_buyer", {"channels_allowed": ["file"]}, 403, "channel-not-allowed"),
    ],
)
def test_who_may_not_call_is_told_no_more_than_that(
    installation: Installation, token: str | None, changes: dict[str, Any], status: int, slug: str
) -> None:
    give(installation, **changes)

    async def story(caller: Caller) -> None:
        check_problem(await caller.call("DELETE", ROWS, token), status, slug)

    play(installation, story)
    assert events(installation) == []
