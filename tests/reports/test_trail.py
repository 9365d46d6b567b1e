"""The trail over HTTP: in stretches, oldest first, and only what is the caller's business."""

from __future__ import annotations

from typing import Any

import pytest

from app.audit import links
from app.audit.links import leaves_about
from app.audit.recording import record
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from tests.conftest import Api, Caller

MINE, FOREIGN = new_id("org"), new_id("org")
GRANT = new_id("grt")


def seal(installation: Installation, count: int, organisation_id: str) -> list[str]:
    with installation.transaction(OPERATOR) as session:
        return [
            record(session, "usage:sealed", GRANT, organisations=(organisation_id,), at=number)
            for number in range(count)
        ]


def pages(caller: Caller, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: Any = None
    while True:
        params = {"subject": GRANT, "limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = caller.get("/audit/trail", params=params)
        assert answer.status_code == 200, answer.text
        found.append([leaf["id"] for leaf in answer.json()["items"]])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


def test_a_long_trail_comes_in_stretches_each_leaf_once(
    installation: Installation, api: Api
) -> None:
    mine = seal(installation, 3, MINE)
    seal(installation, 2, FOREIGN)
    mine += seal(installation, 4, MINE)
    caller = api.as_client(MINE, "contracts:read")
    assert pages(caller, 3) == [mine[:3], mine[3:6], mine[6:]]
    assert pages(caller, 7) == [mine]
    assert caller.get("/audit/trail", params={"subject": GRANT, "limit": 0}).status_code == 400


def test_a_foreign_trail_does_not_even_tell_that_it_is_long(
    installation: Installation, api: Api
) -> None:
    seal(installation, 5, FOREIGN)
    assert pages(api.as_client(MINE, "contracts:read"), 1) == [[]]


def test_the_inspector_shows_the_first_seals_and_every_other_leaf(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "SHOWN_SEALS", 2)
    sealed = seal(installation, 4, MINE)
    with installation.transaction(OPERATOR) as session:
        ended = record(session, "grant:changed", GRANT)
    with installation.transaction(OPERATOR, writes=False) as session:
        shown = [link.id for link in leaves_about(session, {GRANT})]
    assert shown == [*sealed[:2], ended]
