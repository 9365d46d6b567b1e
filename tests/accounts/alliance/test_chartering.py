"""The charter has versions: each is in force from its day on, and none ever changes."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import pytest

from app.kernel.clock import SHANGHAI, SetClock
from tests.accounts.alliance.conftest import CHARTER, HALF, TWO_THIRDS, Alliance
from tests.accounts.conftest import Parties

NEW = "第一条 宗旨。\n第二条 表决。"


def test_there_is_no_charter_until_one_is_in_force(alliance: Alliance, parties: Parties) -> None:
    reader = parties.api.anonymous()
    assert reader.get(CHARTER).status_code == 404
    made = alliance.publish("2026-11-03", NEW)
    assert made.status_code == 201, made.text
    assert (made.json()["version"], made.json()["in_force"]) == (1, False)
    assert reader.get(CHARTER).status_code == 404
    assert reader.get(f"{CHARTER}/1").json()["text"] == NEW


def test_each_version_is_in_force_from_its_day_until_the_next_one_is(
    alliance: Alliance, parties: Parties, clock: SetClock
) -> None:
    alliance.publish("2026-11-02", "一")
    second = alliance.publish("2026-11-05", NEW, quorum=TWO_THIRDS)
    told = second.json()
    assert told["sha256"] == hashlib.sha256(NEW.encode()).hexdigest()
    assert told["voting"]["quorum"] == TWO_THIRDS
    assert told["versions"] == [1, 2]
    reader = parties.api.anonymous()
    for day, hour, version in ((4, 23, 1), (5, 0, 2)):
        clock.set_to(datetime(2026, 11, day, hour, tzinfo=SHANGHAI))
        shown = reader.get(CHARTER).json()
        assert (shown["version"], shown["in_force"]) == (version, True)
    assert reader.get(f"{CHARTER}/1").json()["in_force"] is False


@pytest.mark.parametrize("version", ["0", "3", "-1", "9" * 30])
def test_a_version_that_is_not_there_is_not_found(
    alliance: Alliance, parties: Parties, version: str
) -> None:
    alliance.publish()
    assert parties.api.anonymous().get(f"{CHARTER}/{version}").status_code == 404


def test_a_version_takes_effect_after_every_earlier_one_and_not_in_the_past(
    alliance: Alliance,
) -> None:
    past = alliance.publish("2026-11-01")
    assert (past.status_code, past.json()["type"]) == (422, "urn:zhigu:problem:charter-refused")
    assert alliance.publish("2026-11-10").status_code == 201
    for day in ("2026-11-10", "2026-11-09"):
        answer = alliance.publish(day)
        assert (answer.status_code, answer.json()["type"]) == (
            409,
            "urn:zhigu:problem:charter-later",
        )


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"voting_roles": []}, 400),
        ({"voting_roles": ["MEMBER", "OBSERVER"]}, 422),
        ({"quorum": {"numerator": 3, "denominator": 2}}, 422),
        ({"quorum": {"numerator": 0, "denominator": 2}}, 400),
        ({"majority": {"numerator": 1, "denominator": 101}}, 400),
        ({"majority": {"numerator": 1}}, 400),
    ],
)
def test_a_charter_that_nobody_could_vote_by_is_refused(
    alliance: Alliance, rules: dict[str, Any], status: int
) -> None:
    assert alliance.publish(**rules).status_code == status


def test_only_the_administrator_publishes(parties: Parties) -> None:
    one = parties.organisation()
    voting = {"voting_roles": ["MEMBER"], "quorum": HALF, "majority": HALF}
    body = {"text": NEW, "effective_on": "2026-11-02", "voting": voting}
    assert parties.own(one).post(CHARTER, json=body).status_code == 403
    assert parties.overseer("auditor", "admin").post(CHARTER, json=body).status_code == 403
