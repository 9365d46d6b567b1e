"""A role in the alliance has a term: its rights begin and end by the clock, its history stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.accounts.alliance.membership import SeatRole
from app.accounts.alliance.models import Seat
from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SHANGHAI, SetClock
from tests.accounts.alliance.conftest import MEMBERS, Alliance
from tests.accounts.conftest import Parties


def shanghai(day: int, hour: int = 0) -> datetime:
    """A moment of November 2026 by the clocks of Chongqing."""
    return datetime(2026, 11, day, hour, tzinfo=SHANGHAI)


def test_a_role_is_held_from_its_first_day_until_its_last_by_the_clock_alone(
    alliance: Alliance, parties: Parties, clock: SetClock
) -> None:
    one = parties.organisation()
    made = alliance.seated(one, "VICE_PRESIDENT", "2026-11-03", "2026-11-05")
    assert (made["state"], made["role"], made["from"]) == (
        "upcoming",
        "VICE_PRESIDENT",
        "2026-11-03",
    )
    expected = {
        shanghai(2, 23): ("upcoming", []),
        shanghai(3, 0): ("current", ["VICE_PRESIDENT"]),
        shanghai(4, 23): ("current", ["VICE_PRESIDENT"]),
        shanghai(5, 0): ("past", []),
    }
    for moment, (state, roles) in expected.items():
        clock.set_to(moment)
        (shown,) = alliance.register(organisation_id=one)
        assert (shown["state"], alliance.roles_of(one)) == (state, roles), moment


def test_several_roles_are_held_at_once_and_the_highest_is_told_first(
    alliance: Alliance, parties: Parties
) -> None:
    one = parties.organisation()
    for role in ("MEMBER", "FOUNDER", "DIRECTOR"):
        alliance.seated(one, role)
    assert alliance.roles_of(one) == ["FOUNDER", "DIRECTOR", "MEMBER"]


@pytest.mark.parametrize(
    ("from_", "until", "status"),
    [
        ("2026-11-01", "2026-11-10", 201),
        ("2026-11-20", "2026-11-30", 201),
        ("2026-11-01", "2026-11-11", 422),
        ("2026-11-19", "2026-11-30", 422),
        ("2026-11-12", "2026-11-13", 422),
        ("2026-11-01", "2026-11-30", 422),
        ("2026-11-10", "2026-11-20", 422),
    ],
)
def test_one_role_is_held_once_at_a_time(
    alliance: Alliance, parties: Parties, from_: str, until: str, status: int
) -> None:
    one, two = parties.organisation(), parties.organisation()
    held = alliance.seated(one, "MEMBER", "2026-11-10", "2026-11-20")
    answer = alliance.seat(one, "MEMBER", from_, until)
    assert answer.status_code == status
    if status == 422:
        told = answer.json()
        assert told["type"] == "urn:zhigu:problem:seats-overlap"
        assert told["seat_id"] == held["id"]
    assert alliance.seat(one, "OBSERVER", from_, until).status_code == 201
    assert alliance.seat(two, "MEMBER", from_, until).status_code == 201


def test_the_store_itself_refuses_an_overlap(
    alliance: Alliance, parties: Parties, installation: Installation
) -> None:
    one = parties.organisation()
    alliance.seated(one, "MEMBER", "2026-11-10", "2026-11-20")
    later = alliance.seated(one, "MEMBER", "2026-11-20", "2026-11-30")
    with (
        pytest.raises(IntegrityError, match="overlap"),
        installation.transaction(OPERATOR) as session,
    ):
        seat = session.get_one(Seat, later["id"])
        seat.from_on = seat.from_on.replace(day=19)
        session.flush()


def test_of_appointments_at_the_same_moment_one_holds(alliance: Alliance, parties: Parties) -> None:
    one = parties.organisation()
    with ThreadPoolExecutor(4) as pool:
        tries = [
            pool.submit(alliance.seat, one, "MEMBER", "2026-11-02", f"2026-12-{day:02}")
            for day in range(1, 5)
        ]
        statuses = sorted(one.result().status_code for one in tries)
    assert statuses == [201, 422, 422, 422]
    assert len(alliance.register(organisation_id=one)) == 1


def test_a_role_that_ends_early_has_no_rights_from_that_day_and_stays_in_the_register(
    alliance: Alliance, parties: Parties, clock: SetClock
) -> None:
    one = parties.organisation()
    seat = alliance.seated(one, "DIRECTOR", "2026-11-01", "2026-11-30")
    ended = alliance.end(seat["id"], until="2026-11-04")
    assert (ended.status_code, ended.json()["state"]) == (200, "current")
    assert alliance.roles_of(one) == ["DIRECTOR"]
    clock.set_to(shanghai(4))
    assert alliance.roles_of(one) == []
    (shown,) = alliance.register(organisation_id=one)
    assert (shown["until"], shown["appointed_until"]) == ("2026-11-04", "2026-11-30")
    assert (shown["state"], shown["ended_reason"]) == ("past", "退出联盟")
    again = alliance.end(seat["id"])
    assert (again.status_code, again.json()["type"]) == (409, "urn:zhigu:problem:seat-over")
    alliance.seated(one, "DIRECTOR", "2026-11-04", "2026-12-31")
    assert alliance.roles_of(one) == ["DIRECTOR"]
    assert [one["state"] for one in alliance.register(organisation_id=one)] == ["current", "past"]


def test_a_role_that_ends_today_is_lost_at_once(alliance: Alliance, parties: Parties) -> None:
    one = parties.organisation()
    seat = alliance.seated(one)
    assert alliance.end(seat["id"]).json()["state"] == "past"
    assert alliance.roles_of(one) == []


def test_a_role_that_ends_before_it_begins_never_begins_and_leaves_its_days_free(
    alliance: Alliance, parties: Parties, clock: SetClock
) -> None:
    one = parties.organisation()
    seat = alliance.seated(one, "MEMBER", "2026-11-10", "2026-11-20")
    assert alliance.end(seat["id"]).json()["state"] == "past"
    clock.set_to(shanghai(12))
    assert alliance.roles_of(one) == []
    alliance.seated(one, "MEMBER", "2026-11-10", "2026-11-20")
    assert alliance.roles_of(one) == ["MEMBER"]


@pytest.mark.parametrize("until", ["2026-11-01", "2026-11-20", "2027-01-01"])
def test_a_role_ends_early_neither_in_the_past_nor_later_than_it_would(
    alliance: Alliance, parties: Parties, until: str
) -> None:
    one = parties.organisation()
    seat = alliance.seated(one, "MEMBER", "2026-11-01", "2026-11-20")
    answer = alliance.end(seat["id"], until=until)
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:zhigu:problem:seat-dates-refused",
    )


@pytest.mark.parametrize("until", ["2026-11-02", "2026-11-01", "0001-01-01", "9999-12-31"])
def test_a_term_without_a_day_is_refused(alliance: Alliance, parties: Parties, until: str) -> None:
    assert alliance.seat(parties.organisation(), "MEMBER", "2026-11-02", until).status_code == 422


def test_only_the_administrator_appoints_and_only_whom_there_is(
    alliance: Alliance, parties: Parties
) -> None:
    one = parties.organisation()
    body = {"organisation_id": one, "role": "MEMBER", "from": "2026-11-02", "until": "2027-11-02"}
    assert parties.own(one).post(MEMBERS, json=body).status_code == 403
    reviewer = parties.overseer("reviewer", "admin")
    assert reviewer.post(MEMBERS, json=body).status_code == 403
    assert alliance.seat("org_nobody", "MEMBER", "2026-11-02", "2027-11-02").status_code == 404
    assert alliance.seat(one, "CHAIR", "2026-11-02", "2027-11-02").status_code == 400
    assert alliance.register() == []


def test_the_register_is_read_by_role_day_and_organisation(
    alliance: Alliance, parties: Parties
) -> None:
    one, two = parties.organisation(), parties.organisation()
    first = alliance.seated(one, "FOUNDER", "2020-01-01", "2027-01-01")
    past = alliance.seated(two, "MEMBER", "2020-01-01", "2021-01-01")
    now = alliance.seated(two, "OBSERVER")

    def ids(**asked: str) -> set[str]:
        return {seat["id"] for seat in alliance.register(**asked)}

    assert ids() == {first["id"], past["id"], now["id"]}
    assert ids(organisation_id=two) == {past["id"], now["id"]}
    assert ids(role="FOUNDER") == {first["id"]}
    assert ids(on="2020-12-31") == {first["id"], past["id"]}
    assert ids(on="2021-01-01") == {first["id"]}
    reader = parties.own(one, "organisations:read")
    assert reader.get(f"{MEMBERS}/{now['id']}").json()["role"] == "OBSERVER"
    assert len(reader.get(MEMBERS).json()["items"]) == 3


def test_each_step_has_a_leaf_of_its_own_moment(
    alliance: Alliance, parties: Parties, installation: Installation
) -> None:
    one = parties.organisation()
    seat = alliance.seated(one)
    alliance.end(seat["id"])
    with installation.transaction(OPERATOR, writes=False) as session:
        leaves = select(Leaf.kind).where(Leaf.subject_id == seat["id"]).order_by(Leaf.id)
        assert session.exec(leaves).all() == ["seat:appointed", "seat:ended"]


def test_the_roles_are_those_of_the_domain() -> None:
    assert [role.value for role in SeatRole] == [
        "FOUNDER",
        "PRESIDENT",
        "VICE_PRESIDENT",
        "EXEC_DIRECTOR",
        "DIRECTOR",
        "MEMBER",
        "OBSERVER",
    ]
