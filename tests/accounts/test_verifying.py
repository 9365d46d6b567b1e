"""An organisation asks to be verified; a reviewer who is not of it decides."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.accounts.errors import OrganisationNotVerified
from app.accounts.queries import must_be_verified
from app.accounts.states import NEXT, VerificationState, may_move
from app.accounts.verifying import expire_verifications
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from tests.accounts.conftest import Parties

PATH = "/api/v1/organisations"
VERIFIED = {"decision": "verified"}


def ask(parties: Parties, organisation_id: str) -> None:
    answer = parties.own(organisation_id).post(
        f"{PATH}/{organisation_id}/verification",
        json={
            "legal_representative": "王五",
            "documents": [{"name": "营业执照.pdf", "sha256": "a" * 64}],
        },
    )
    assert answer.status_code == 201, answer.text


def decide(parties: Parties, organisation_id: str, body: dict[str, object]) -> tuple[int, str]:
    answer = parties.overseer("reviewer").post(
        f"{PATH}/{organisation_id}/verification/decision", json=body
    )
    return answer.status_code, answer.json().get("verification_state", answer.json().get("type"))


def is_verified(installation: Installation, organisation_id: str) -> bool:
    with installation.transaction(OPERATOR, writes=False) as session:
        try:
            must_be_verified(session, organisation_id)
        except OrganisationNotVerified:
            return False
    return True


def state_of(parties: Parties, organisation_id: str) -> str:
    answer = parties.own(organisation_id).get(f"{PATH}/{organisation_id}/verification")
    return str(answer.json()["verification_state"])


def test_every_pair_of_states_is_allowed_or_refused_by_the_table() -> None:
    allowed = {
        ("NONE", "PENDING"),
        ("PENDING", "VERIFIED"),
        ("PENDING", "REJECTED"),
        ("VERIFIED", "VERIFIED"),
        ("VERIFIED", "REJECTED"),
        ("VERIFIED", "EXPIRED"),
        ("REJECTED", "PENDING"),
        ("EXPIRED", "PENDING"),
        ("EXPIRED", "VERIFIED"),
        ("EXPIRED", "REJECTED"),
    }
    assert set(NEXT) == set(VerificationState)
    found = {
        (old.value, new.value)
        for old in VerificationState
        for new in VerificationState
        if may_move(old, new)
    }
    assert found == allowed


def test_a_verified_organisation_may_trade_until_the_end_of_its_last_day(
    parties: Parties, installation: Installation, clock: SetClock
) -> None:
    one = parties.organisation()
    assert not is_verified(installation, one)
    ask(parties, one)
    assert state_of(parties, one) == "PENDING"
    assert not is_verified(installation, one)
    assert decide(parties, one, {**VERIFIED, "expires_on": "2026-11-03"}) == (200, "VERIFIED")
    view = parties.own(one).get(f"{PATH}/{one}").json()
    assert view["expires_on"] == "2026-11-03"
    assert view["verified_until"] == "2026-11-03T16:00:00Z"  # midnight in Shanghai
    assert is_verified(installation, one)
    clock.advance(timedelta(days=1, hours=14, minutes=59))
    assert is_verified(installation, one)
    clock.advance(timedelta(minutes=1))
    assert not is_verified(installation, one)
    assert state_of(parties, one) == "EXPIRED"
    for _ in range(2):
        expire_verifications(installation)
        assert state_of(parties, one) == "EXPIRED"
    ask(parties, one)
    assert decide(parties, one, VERIFIED) == (200, "VERIFIED")
    assert parties.own(one).get(f"{PATH}/{one}").json()["expires_on"] == "2027-11-04"


def test_a_rejection_has_a_reason_and_another_request_may_follow(
    parties: Parties, installation: Installation
) -> None:
    one = parties.organisation()
    ask(parties, one)
    assert decide(parties, one, {"decision": "rejected"})[0] == 422
    why = {"decision": "rejected", "reason": "照片不清"}
    assert decide(parties, one, why) == (200, "REJECTED")
    assert not is_verified(installation, one)
    ask(parties, one)
    assert decide(parties, one, VERIFIED) == (200, "VERIFIED")
    items = parties.own(one).get(f"{PATH}/{one}/verification").json()["items"]
    assert [(item["number"], item["decision"], item["reason"]) for item in items] == [
        (2, "verified", None),
        (1, "rejected", "照片不清"),
    ]
    assert items[0]["documents"] == [{"name": "营业执照.pdf", "sha256": "a" * 64}]


def test_a_renewal_leaves_the_old_verification_in_force_until_it_is_decided(
    parties: Parties, installation: Installation
) -> None:
    one = parties.organisation()
    ask(parties, one)
    decide(parties, one, {**VERIFIED, "expires_on": "2026-12-01"})
    ask(parties, one)
    assert is_verified(installation, one)
    assert decide(parties, one, {**VERIFIED, "expires_on": "2027-12-01"}) == (200, "VERIFIED")
    assert parties.own(one).get(f"{PATH}/{one}").json()["expires_on"] == "2027-12-01"
    ask(parties, one)
    assert decide(parties, one, {"decision": "rejected", "reason": "x"}) == (200, "REJECTED")
    assert not is_verified(installation, one)


def test_a_renewal_asked_for_in_time_is_decided_after_the_day_has_passed(
    parties: Parties, installation: Installation, clock: SetClock
) -> None:
    one = parties.organisation()
    ask(parties, one)
    decide(parties, one, {**VERIFIED, "expires_on": "2026-11-03"})
    ask(parties, one)
    clock.advance(timedelta(days=10))
    expire_verifications(installation)
    assert state_of(parties, one) == "EXPIRED"
    renamed = parties.own(one).patch(f"{PATH}/{one}", json={"name": "another, under review"})
    assert renamed.status_code == 409
    assert renamed.json()["type"] == "urn:zhigu:problem:name-verified"
    assert decide(parties, one, VERIFIED) == (200, "VERIFIED")


def test_one_request_at_a_time_and_no_decision_without_one(parties: Parties) -> None:
    one = parties.organisation()
    assert decide(parties, one, VERIFIED)[0] == 409
    ask(parties, one)
    again = parties.own(one).post(f"{PATH}/{one}/verification", json={})
    assert again.status_code == 409
    assert again.json()["verification_state"] == "PENDING"
    assert decide(parties, one, VERIFIED)[0] == 200
    assert decide(parties, one, VERIFIED)[0] == 409


def test_only_a_reviewer_decides_and_never_on_its_own_organisation(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    operator_id = parties.operator.organisation_id
    ask(parties, one)
    parties.admin().post(f"{PATH}/{operator_id}/verification", json={})
    path = f"{PATH}/{one}/verification/decision"
    refused = [
        parties.own(one),
        parties.own(two),
        parties.api.as_client(one, "organisations:write", roles=["owner"]),
        parties.api.as_client(one, "organisations:write", roles=["reviewer"]),
        parties.overseer("auditor"),
        parties.overseer("admin", "admin"),
        parties.overseer("reviewer", "organisations:read"),
    ]
    for caller in refused:
        assert caller.post(path, json=VERIFIED).status_code == 403
    own = parties.overseer("reviewer").post(
        f"{PATH}/{operator_id}/verification/decision", json=VERIFIED
    )
    assert own.status_code == 403
    assert own.json()["type"] == "urn:zhigu:problem:own-verification"
    assert (
        parties.overseer("reviewer")
        .post(f"{PATH}/org_none/verification/decision", json=VERIFIED)
        .status_code
        == 404
    )
    assert state_of(parties, one) == "PENDING"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"decision": "maybe"}, 400),
        ({}, 400),
        ({**VERIFIED, "expires_on": "2026-11-01"}, 422),
        ({**VERIFIED, "expires_on": "9999-12-31"}, 422),
        ({**VERIFIED, "expires_on": "2026-02-30"}, 400),
        ({**VERIFIED, "expires_on": "soon"}, 400),
        ({"decision": "rejected", "reason": "x", "expires_on": "2027-01-01"}, 422),
        ({"decision": "rejected", "reason": ""}, 400),
    ],
    ids=str,
)
def test_a_decision_that_is_not_whole_changes_nothing(
    parties: Parties, body: dict[str, object], status: int
) -> None:
    one = parties.organisation()
    ask(parties, one)
    assert decide(parties, one, body)[0] == status
    assert state_of(parties, one) == "PENDING"
