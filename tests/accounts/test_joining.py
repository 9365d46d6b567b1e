"""People join with one role, of no more than its giver's rights."""

from __future__ import annotations

import pytest

from app.accounts.models import Person
from app.accounts.passwords import hash_password, password_fits
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.conftest import PASSWORD, Parties


def path_of(organisation_id: str) -> str:
    return f"/api/v1/organisations/{organisation_id}/members"


def body(
    role: str = "viewer", email: str = "li@example.cn", **changes: object
) -> dict[str, object]:
    return {"email": email, "name": "李四", "role": role, "password": PASSWORD, **changes}


def test_a_password_is_kept_as_an_argon2id_hash_and_told_to_nobody(
    parties: Parties, installation: Installation
) -> None:
    one = parties.organisation()
    answer = parties.own(one).post(path_of(one), json=body(email="Li.Si@Example.CN"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["email"], made["role"], made["state"]) == ("li.si@example.cn", "viewer", "active")
    assert "password" not in answer.text
    with installation.transaction(OPERATOR) as session:
        kept = session.get_one(Person, made["id"]).password_argon2
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_fits(PASSWORD, kept)
    assert not password_fits(PASSWORD + "x", kept)
    assert not password_fits("nobody's password", None)
    assert "password" not in parties.own(one).get(path_of(one)).text


def test_a_password_is_the_same_in_every_unicode_spelling() -> None:
    assert password_fits(
        "mot de passe tre\u0300s long", hash_password("mot de passe tr\u00e8s long")
    )


@pytest.mark.parametrize(
    "password",
    ["", "short", "x" * 11, "aaaaaaaaaaaaaaaa", "li.si.2026!!!", "x1y2z3" * 30],
)
def test_a_weak_password_is_refused(parties: Parties, password: str) -> None:
    one = parties.organisation()
    answer = parties.own(one).post(
        path_of(one), json=body(email="li.si@example.cn", password=password)
    )
    assert answer.status_code == (400 if password == "" else 422)
    assert password == "" or password not in answer.text


def test_nobody_gives_a_role_of_more_rights_than_their_token(parties: Parties) -> None:
    one = parties.organisation()
    read = ["listings:read", "contracts:read", "usage:read", "billing:read", "organisations:read"]
    giver = parties.own(one, "organisations:write", *read)
    assert giver.post(path_of(one), json=body("viewer")).status_code == 201
    for role in ("owner", "signatory", "developer", "finance"):
        answer = giver.post(path_of(one), json=body(role, f"{role}@example.cn"))
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:zhigu:problem:scope-not-yours-to-give"


def test_alliance_roles_are_for_people_of_the_operator(parties: Parties) -> None:
    one, operator_id = parties.organisation(), parties.operator.organisation_id
    for number, role in enumerate(("admin", "reviewer", "signer", "auditor")):
        wish = body(role, f"p{number}@example.cn")
        for caller in (parties.own(one), parties.admin()):
            assert caller.post(path_of(one), json=wish).status_code == 403
        assert parties.overseer("reviewer").post(path_of(operator_id), json=wish).status_code == 403
        assert parties.admin().post(path_of(operator_id), json=wish).status_code == 201
    owner = body("owner", "o@example.cn")
    assert parties.admin().post(path_of(operator_id), json=owner).status_code == 403


def test_an_email_address_names_one_person(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    assert parties.own(one).post(path_of(one), json=body()).status_code == 201
    for organisation_id in (one, two):
        answer = parties.own(organisation_id).post(
            path_of(organisation_id), json=body(email="LI@example.cn")
        )
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:zhigu:problem:email-not-available"


def test_the_last_owner_stays(parties: Parties) -> None:
    one = parties.organisation()
    first = parties.member(one, "first@example.cn")["id"]
    own = parties.own(one)
    for verb, change in (("roles", {"role": "viewer"}), ("remove", None)):
        answer = own.post(f"{path_of(one)}/{first}/{verb}", json=change)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:zhigu:problem:last-owner"
    parties.member(one, "second@example.cn")
    changed = own.post(f"{path_of(one)}/{first}/roles", json={"role": "finance"})
    assert (changed.status_code, changed.json()["role"]) == (200, "finance")
    for _ in range(2):
        removed = own.post(f"{path_of(one)}/{first}/remove")
        assert (removed.status_code, removed.json()["state"]) == (200, "removed")


def test_people_of_others_are_not_found(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    foreign = parties.member(two, "two@example.cn", "viewer")["id"]
    for verb, change in (("roles", {"role": "finance"}), ("remove", None)):
        assert (
            parties.own(one).post(f"{path_of(one)}/{foreign}/{verb}", json=change).status_code
            == 404
        )
        assert (
            parties.own(one).post(f"{path_of(two)}/{foreign}/{verb}", json=change).status_code
            == 404
        )
    assert parties.own(one).get(path_of(two)).status_code == 404
