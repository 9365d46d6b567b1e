"""Organisations are entered by the administrator and changed by themselves."""

from __future__ import annotations

import pytest
from sqlmodel import select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.conftest import Parties, credit_code

PATH = "/api/v1/organisations"


def test_the_administrator_enters_an_organisation_that_is_not_verified_yet(
    parties: Parties, installation: Installation
) -> None:
    body = parties.body(name_en="Zhigu Data", region_code="500108")
    answer = parties.admin().post(PATH, json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["id"].startswith("org_")
    assert {name: made[name] for name in body} == body
    assert (made["state"], made["verification_state"]) == ("active", "NONE")
    assert answer.headers["etag"] == '"1"'
    with installation.transaction(OPERATOR) as session:
        leaf = session.exec(select(Leaf).where(Leaf.subject_id == made["id"])).one()
    assert leaf.kind == "organisation:registered"


def test_only_the_administrator_enters_organisations(parties: Parties) -> None:
    organisation_id = parties.organisation()
    callers = {
        parties.api.anonymous(): 401,
        parties.own(organisation_id): 403,
        parties.overseer("reviewer"): 403,
        parties.overseer("auditor", "admin"): 403,
        parties.api.as_client(organisation_id, "admin"): 403,
    }
    for caller, status in callers.items():
        assert caller.post(PATH, json=parties.body()).status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"credit_code": credit_code(77)[:-1] + "0"},
        {"credit_code": credit_code(77).lower()},
        {"credit_code": "1"},
        {"kind": "exchange"},
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "x" * 201},
        {"region_code": "50010"},
        {"region_code": "5001\u0660\u0660"},
        {"contact": "Zhang"},
        {"contact": {"email": "no address"}},
        {"contact": {"email": "a@b@c"}},
        {"contact": {"phone": "+1; DROP TABLE"}},
        {"contact": {"pager": "1"}},
        {"is_operator": True},
        {"verification_state": "VERIFIED"},
        {"id": "org_1"},
    ],
    ids=str,
)
def test_an_organisation_that_is_not_well_formed_is_a_400(
    parties: Parties, change: dict[str, object]
) -> None:
    answer = parties.admin().post(PATH, json=parties.body(**change))
    assert answer.status_code == 400, answer.text


def test_a_credit_code_names_one_organisation(parties: Parties) -> None:
    body = parties.body()
    assert parties.admin().post(PATH, json=body).status_code == 201
    answer = parties.admin().post(PATH, json={**body, "name": "another"})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:zhigu:problem:credit-code-taken"
    other = parties.organisation()
    change = {"credit_code": body["credit_code"]}
    assert parties.own(other).patch(f"{PATH}/{other}", json=change).status_code == 422


def test_an_organisation_is_seen_by_itself_and_the_overseers_only(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    assert parties.own(one).get(f"{PATH}/{one}").status_code == 200
    assert parties.own(two).get(f"{PATH}/{one}").status_code == 404
    assert parties.own(two).get(f"{PATH}/org_none").status_code == 404
    assert parties.overseer("signer").get(f"{PATH}/{one}").status_code == 404
    for role in ("reviewer", "auditor"):
        assert parties.overseer(role).get(f"{PATH}/{one}").status_code == 200
    assert parties.admin().get(f"{PATH}/{one}").status_code == 200
    foreign = parties.own(two).get(f"{PATH}/{one}").json()
    missing = parties.own(two).get(f"{PATH}/org_none").json()
    assert {**foreign, "request_id": 0} == {**missing, "request_id": 0}


def test_a_list_holds_what_the_caller_may_see(parties: Parties) -> None:
    ids = [parties.organisation() for _ in range(3)]
    listed = parties.own(ids[0]).get(PATH).json()["items"]
    assert [item["id"] for item in listed] == [ids[0]]
    first = parties.overseer("auditor").get(f"{PATH}?limit=2").json()
    rest = parties.overseer("auditor").get(f"{PATH}?cursor={first['next_cursor']}").json()
    seen = [item["id"] for item in first["items"] + rest["items"]]
    assert seen == [*reversed(ids), parties.operator.organisation_id]
    assert rest["next_cursor"] is None


def test_a_change_says_which_edit_it_is_of(parties: Parties) -> None:
    one = parties.organisation()
    own = parties.own(one)
    path = f"{PATH}/{one}"
    answer = own.patch(path, json={"name_en": "New", "contact": {"phone": "023-1234567"}})
    assert answer.status_code == 200
    assert answer.json()["name_en"] == "New"
    assert answer.json()["contact"] == {"phone": "023-1234567"}
    assert answer.headers["etag"] == '"2"'
    late = own.patch(path, json={"name_en": "Late"}, headers={"If-Match": '"1"'})
    assert late.status_code == 412
    assert own.get(path).json()["name_en"] == "New"
    right = own.patch(path, json={"name_en": None}, headers={"If-Match": '"2"'})
    assert right.json()["name_en"] is None
    same = own.patch(path, json={"name_en": None})
    assert same.headers["etag"] == '"3"'


def test_a_change_is_for_the_organisation_itself_and_the_administrator(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    path = f"{PATH}/{one}"
    change = {"name_en": "X"}
    assert parties.own(two).patch(path, json=change).status_code == 404
    assert parties.own(one, "organisations:read").patch(path, json=change).status_code == 403
    assert parties.overseer("reviewer").patch(path, json=change).status_code == 403
    assert parties.admin().patch(path, json=change).status_code == 200


def test_the_operator_is_changed_by_its_administrator_only(parties: Parties) -> None:
    path = f"{PATH}/{parties.operator.organisation_id}"
    change = {"name": "智谷联盟", "credit_code": credit_code(500)}
    assert parties.overseer("reviewer").patch(path, json=change).status_code == 403
    answer = parties.admin().patch(path, json=change)
    assert answer.json()["credit_code"] == credit_code(500)


def test_a_name_does_not_change_while_it_is_under_review(parties: Parties) -> None:
    one = parties.organisation()
    path = f"{PATH}/{one}"
    parties.own(one).post(f"{path}/verification", json={})
    for change in ({"name": "other"}, {"credit_code": credit_code(501)}):
        answer = parties.own(one).patch(path, json=change)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:zhigu:problem:name-verified"
    assert parties.own(one).patch(path, json={"name_en": "other"}).status_code == 200


def test_the_administrator_suspends_and_resumes_an_organisation(parties: Parties) -> None:
    one = parties.organisation()
    path, why = f"{PATH}/{one}", {"reason": "overdue"}
    assert parties.own(one).post(f"{path}/suspend", json=why).status_code == 403
    assert parties.admin().post(f"{path}/suspend", json={}).status_code == 400
    for _ in range(2):
        answer = parties.admin().post(f"{path}/suspend", json=why)
        assert (answer.status_code, answer.json()["state"]) == (200, "suspended")
    for _ in range(2):
        answer = parties.admin().post(f"{path}/resume", json=why)
        assert (answer.status_code, answer.json()["state"]) == (200, "active")
    operator = f"{PATH}/{parties.operator.organisation_id}"
    assert parties.admin().post(f"{operator}/suspend", json=why).status_code == 403
