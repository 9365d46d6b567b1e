"""Fsck of the alliance: no seat and no charter changes by SQL unnoticed."""

from __future__ import annotations

import pytest

from app.accounts.checking import problems
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.alliance.conftest import Alliance
from tests.accounts.conftest import Parties
from tests.breaking import missed

BACK = "until_on = appointed_until_on, ended_at = NULL, ended_by = NULL, ended_reason = NULL"
LONGER = "until_on = '2030-01-01', appointed_until_on = '2030-01-01'"
OF_MEMBER = "(SELECT organisation_id FROM alliance_seat WHERE role = 'MEMBER')"
BREAKS = {
    "a seat without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'seat:appointed'",
        "was not given as the log says",
    ),
    "a seat of a higher role": (
        "UPDATE alliance_seat SET role = 'PRESIDENT' WHERE role = 'OBSERVER'",
        "was not given as the log says",
    ),
    "a seat of another organisation": (
        f"UPDATE alliance_seat SET organisation_id = {OF_MEMBER} WHERE role = 'OBSERVER'",
        "was not given as the log says",
    ),
    "a seat that begins sooner": (
        "UPDATE alliance_seat SET from_on = '2020-01-01' WHERE role = 'MEMBER'",
        "was not given as the log says",
    ),
    "a seat that was given for longer": (
        f"UPDATE alliance_seat SET {LONGER} WHERE role = 'MEMBER'",
        "was not given as the log says",
    ),
    "a seat that was lost and is back": (
        f"UPDATE alliance_seat SET {BACK} WHERE role = 'OBSERVER'",
        "does not end when the log says",
    ),
    "a seat that is gone": ("DELETE FROM alliance_seat WHERE role = 'MEMBER'", "is gone; leaf"),
    "a role that is held twice": (
        "UPDATE alliance_seat SET role = 'MEMBER' WHERE role = 'DIRECTOR'",
        "V1: seats seat_",
    ),
    "a charter of another text": (
        "UPDATE alliance_charter SET text = '新'",
        "version 1 of the charter does not hash to what it says",
    ),
    "a charter of another day": (
        "UPDATE alliance_charter SET effective_on = '2026-11-30'",
        "version 1 of the charter was not published as the log says",
    ),
    "a charter of another quorum": (
        "UPDATE alliance_charter SET quorum_denominator = 100",
        "version 1 of the charter was not published as the log says",
    ),
    "a charter that is gone": ("DELETE FROM alliance_charter", "is gone; leaf"),
}


@pytest.fixture
def kept(alliance: Alliance, parties: Parties, installation: Installation) -> Installation:
    """A charter, a member who is also a director, and an observer who left early."""
    assert alliance.publish().status_code == 201
    one, two = parties.organisation(), parties.organisation()
    for role in ("MEMBER", "DIRECTOR"):
        alliance.seated(one, role)
    leaver = alliance.seated(two, "OBSERVER", "2026-11-01")
    assert alliance.end(leaver["id"]).status_code == 200
    return installation


def test_an_alliance_that_was_only_used_has_no_problems(kept: Installation) -> None:
    with kept.snapshot(OPERATOR) as session:
        assert list(problems(session)) == []


def test_a_row_behind_the_logs_back_is_named(kept: Installation) -> None:
    assert missed(kept, problems, BREAKS) == {}
