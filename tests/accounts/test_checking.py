"""Fsck's A1 of accounts: who may do what, and who was verified, cannot change by SQL unnoticed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.accounts.checking import problems
from app.accounts.verifying import expire_verifications
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.jwk import new_key
from tests.accounts.conftest import Parties
from tests.accounts.test_key_proving import register
from tests.accounts.test_verifying import VERIFIED, ask, decide
from tests.breaking import missed

PATH = "/api/v1/organisations"
LATER = "'2026-12-24T00:00:00.000000Z'"
VERIFIED_TOO = f"verification_state = 'VERIFIED', verified_until = {LATER}"
UNDECIDED = "decision = NULL, decided_at = NULL, decided_by = NULL"
REJECTED = {"decision": "rejected", "reason": "文件不清"}
BREAKS = {
    "an organisation without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'organisation:registered'",
        "was registered without a leaf",
    ),
    "an organisation that was suspended by nobody": (
        f"UPDATE organisation SET suspended_at = {LATER} WHERE verification_state = 'NONE'",
        "is not suspended as the log says",
    ),
    "an organisation that acts again": (
        "UPDATE organisation SET suspended_at = NULL WHERE suspended_at IS NOT NULL",
        "is not suspended as the log says",
    ),
    "an organisation that was verified by nobody": (
        f"UPDATE organisation SET {VERIFIED_TOO} WHERE verification_state = 'REJECTED'",
        "is VERIFIED, the log says REJECTED",
    ),
    "an organisation that lapsed and trades again": (
        f"UPDATE organisation SET {VERIFIED_TOO} WHERE verification_state = 'EXPIRED'",
        "is VERIFIED, the log says EXPIRED",
    ),
    "an organisation that is verified for longer": (
        f"UPDATE organisation SET verified_until = {LATER} WHERE verification_state = 'VERIFIED'",
        "is not verified until the day that the log says",
    ),
    "a request without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'organisation:verification_requested'",
        "was asked for without a leaf",
    ),
    "a request with other papers": (
        "UPDATE verification SET documents = '[]' WHERE decision = 'verified'",
        "was asked for without a leaf",
    ),
    "a review of another opinion": (
        "UPDATE verification SET decision = 'verified' WHERE decision = 'rejected'",
        "was decided without a leaf",
    ),
    "a review at another moment": (
        f"UPDATE verification SET decided_at = {LATER} WHERE decision = 'verified'",
        "was decided without a leaf",
    ),
    "a review that is forgotten": (
        f"UPDATE verification SET {UNDECIDED} WHERE decision = 'rejected'",
        "was decided, but does not say so",
    ),
    "a person without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'person:joined'",
        "joined without a leaf",
    ),
    "a person of another role": (
        "UPDATE person SET role = 'admin' WHERE removed_at IS NULL",
        "is admin, the log says",
    ),
    "a person who is back": (
        "UPDATE person SET removed_at = NULL WHERE removed_at IS NOT NULL",
        "was not removed as the log says",
    ),
    "a program of other scopes": (
        "UPDATE client SET scopes = '[\"admin\"]' WHERE revoked_at IS NOT NULL",
        "has no leaf that gives it what it may do",
    ),
    "a program of other roles": (
        "UPDATE client SET roles = '[\"admin\"]' WHERE revoked_at IS NOT NULL",
        "has no leaf that gives it what it may do",
    ),
    "a program that people are sent back to elsewhere": (
        "UPDATE client SET redirect_uris = '[\"https://a.test/\"]' WHERE revoked_at IS NOT NULL",
        "has no leaf that gives it what it may do",
    ),
    "a program that is back": (
        "UPDATE client SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
        "was not revoked as the log says",
    ),
    "another key": (
        "UPDATE signing_key SET jwk = '{}' WHERE revoked_at IS NULL",
        "was registered without a leaf",
    ),
    "a key that signs again": (
        "UPDATE signing_key SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
        "was not revoked as the log says",
    ),
    "a key that is gone": (
        "DELETE FROM signing_key WHERE revoked_at IS NOT NULL",
        "is gone; leaf leaf_",
    ),
}


@pytest.fixture
def alliance(parties: Parties, installation: Installation, clock: SetClock) -> Installation:
    """Organisations in each state, a member who changed role and one who left, keys, programs."""
    for answer in (VERIFIED, REJECTED, {**VERIFIED, "expires_on": "2026-11-02"}):
        organisation_id = parties.organisation()
        clock.advance(timedelta(seconds=1))
        ask(parties, organisation_id)
        clock.advance(timedelta(seconds=1))
        assert decide(parties, organisation_id, answer)[0] == 200
    suspended_id, plain_id = parties.organisation(), parties.organisation()
    admin = parties.admin()
    assert admin.post(f"{PATH}/{suspended_id}/suspend", json={"reason": "核查"}).status_code == 200
    parties.member(plain_id, "owner@example.cn")
    for number, (verb, body) in enumerate({"roles": {"role": "finance"}, "remove": {}}.items()):
        member = parties.member(plain_id, f"member{number}@example.cn", "viewer")
        clock.advance(timedelta(seconds=1))
        path = f"{PATH}/{plain_id}/members/{member['id']}/{verb}"
        assert admin.post(path, json=body).status_code == 200
    client_id = parties.client(plain_id)["client_id"]
    assert admin.post(f"{PATH}/{plain_id}/clients/{client_id}/revoke").status_code == 200
    for _ in range(2):
        key_id = register(parties, plain_id, new_key()).json()["id"]
    revoke = f"{PATH}/{plain_id}/keys/{key_id}/revoke"
    assert parties.own(plain_id).post(revoke).status_code == 200
    clock.advance(timedelta(days=3))
    expire_verifications(installation)
    return installation


def test_accounts_that_were_only_used_have_no_problems(alliance: Installation) -> None:
    with alliance.snapshot(OPERATOR) as session:
        assert list(problems(session)) == []


def test_a_row_behind_the_logs_back_is_named(alliance: Installation) -> None:
    assert missed(alliance, problems, BREAKS) == {}
