"""An organisation is told once, reads what its token reaches, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.notices.telling import tell
from tests.conftest import Api, Caller

BUYER, PROVIDER = "org_buyer", "org_provider"
PATH = "/api/v1/notices"


def told(installation: Installation, key: str, scope: str = "usage:read") -> None:
    with installation.transaction(OPERATOR) as session:
        tell(
            session,
            "usage.window_filling",
            "ctr_one",
            organisations=(PROVIDER, BUYER, BUYER),
            scope=scope,
            dedupe_key=key,
            percent=80,
        )


def listed(caller: Caller, query: str = "") -> list[Any]:
    answer = caller.get(PATH + query)
    assert answer.status_code == 200
    return list(answer.json()["items"])


def test_each_organisation_is_told_once_and_the_newest_comes_first(
    api: Api, installation: Installation, clock: SetClock
) -> None:
    for key in ("first", "second", "first"):
        told(installation, key)
        clock.advance(timedelta(minutes=1))
    for organisation in (BUYER, PROVIDER):
        reader = api.as_client(organisation, "usage:read")
        assert [one["told_at"] for one in listed(reader)] == [
            "2026-11-02T01:01:00Z",
            "2026-11-02T01:00:00Z",
        ]
        page = reader.get(f"{PATH}?limit=1").json()
        (older,) = listed(reader, f"?limit=1&cursor={page['next_cursor']}")
        assert (older["kind"], older["subject"], older["facts"], older["read_at"]) == (
            "usage.window_filling",
            "ctr_one",
            {"percent": 80},
            None,
        )
    assert listed(api.as_client("org_stranger", "usage:read")) == []


def test_what_was_read_is_read_for_the_whole_organisation_and_no_other(
    api: Api, installation: Installation, clock: SetClock
) -> None:
    told(installation, "one")
    told(installation, "two")
    mine = api.as_client(BUYER, "usage:read")
    notice_id = listed(mine)[0]["id"]
    first = mine.post(f"{PATH}/{notice_id}/read")
    clock.advance(timedelta(hours=1))
    again = api.as_client(BUYER, "usage:read").post(f"{PATH}/{notice_id}/read")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["read_at"] == "2026-11-02T01:00:00Z"
    assert [one["id"] for one in listed(mine, "?unread=true")] != [notice_id]
    assert len(listed(mine, "?unread=true")) == 1
    assert len(listed(api.as_client(PROVIDER, "usage:read"), "?unread=true")) == 2
    for stranger in (api.as_client(PROVIDER, "usage:read"), api.as_client("org_x", "usage:read")):
        assert stranger.post(f"{PATH}/{notice_id}/read").status_code == 404


def test_a_notice_is_read_with_the_scope_of_what_it_tells_of(
    api: Api, installation: Installation
) -> None:
    told(installation, "use")
    told(installation, "money", scope="billing:read")
    both = api.as_client(BUYER, "usage:read", "billing:read")
    of_use = api.as_client(BUYER, "usage:read")
    assert (len(listed(both)), len(listed(of_use))) == (2, 1)
    assert listed(api.as_client(BUYER, "data:read")) == []
    (of_money,) = (one for one in listed(both) if one not in listed(of_use))
    assert of_use.post(f"{PATH}/{of_money['id']}/read").status_code == 404
    assert api.anonymous().get(PATH).status_code == 401
