"""Clients are made with no more than their maker may give, and can be taken back."""

from __future__ import annotations

import pytest

from app.accounts.models import Client
from app.accounts.scopes import TRADING_SCOPES
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.conftest import Parties


def path_of(organisation_id: str) -> str:
    return f"/api/v1/organisations/{organisation_id}/clients"


def wish(*scopes: str, **changes: object) -> dict[str, object]:
    return {"name": "program", "scopes": list(scopes), **changes}


def test_a_secret_is_shown_once_and_kept_as_its_hash(
    parties: Parties, installation: Installation
) -> None:
    one = parties.organisation()
    made = parties.client(one, scopes=["listings:read"])
    assert made["client_id"].startswith("cli_")
    assert len(made["client_secret"]) == 43
    listed = parties.own(one).get(path_of(one))
    assert [item["client_id"] for item in listed.json()["items"]] == [made["client_id"]]
    assert made["client_secret"] not in listed.text
    assert not [name for name in listed.json()["items"][0] if "secret" in name]
    with installation.transaction(OPERATOR) as session:
        row = session.get_one(Client, made["client_id"])
    assert row.secret_sha256 is not None
    assert made["client_secret"] not in repr(row)


def test_a_repeated_request_makes_one_client_and_does_not_tell_its_secret_again(
    parties: Parties,
) -> None:
    one = parties.organisation()
    own, key = parties.own(one), {"Idempotency-Key": "k1"}
    first = own.post(path_of(one), json=wish("data:read"), headers=key)
    again = own.post(path_of(one), json=wish("data:read"), headers=key)
    assert (first.status_code, again.status_code) == (201, 409)
    assert again.json()["type"] == "urn:zhigu:problem:secret-already-shown"
    assert len(own.get(path_of(one)).json()["items"]) == 1


def test_a_client_gets_no_scope_that_its_maker_lacks(parties: Parties) -> None:
    one = parties.organisation()
    maker = parties.own(one, "organisations:write", "data:read")
    assert maker.post(path_of(one), json=wish("data:read")).status_code == 201
    refused = maker.post(path_of(one), json=wish("data:read", "contracts:sign"))
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:zhigu:problem:scope-not-yours-to-give"
    assert refused.json()["scopes"] == ["contracts:sign"]


def test_only_the_operator_has_clients_with_alliance_rights(parties: Parties) -> None:
    one, operator_id = parties.organisation(), parties.operator.organisation_id
    for rights in (wish("admin"), wish("listings:read", roles=["reviewer"])):
        for caller in (parties.admin(), parties.own(one, *TRADING_SCOPES, "admin")):
            answer = caller.post(path_of(one), json=rights)
            assert answer.status_code == 403
            assert answer.json()["type"] == "urn:zhigu:problem:operator-only"
        assert parties.admin().post(path_of(operator_id), json=rights).status_code == 201
        assert (
            parties.overseer("reviewer").post(path_of(operator_id), json=rights).status_code == 403
        )


def test_a_role_of_people_is_not_given_to_a_program(parties: Parties) -> None:
    one = parties.organisation()
    answer = parties.admin().post(path_of(one), json=wish("data:read", roles=["owner"]))
    assert answer.status_code == 400


def test_clients_are_made_by_their_own_organisation_or_the_administrator(
    parties: Parties,
) -> None:
    one, two = parties.organisation(), parties.organisation()
    body = wish("listings:read")
    for caller, status in {
        parties.api.anonymous(): 401,
        parties.own(two): 404,
        parties.own(one, "organisations:read", "listings:read"): 403,
        parties.overseer("reviewer"): 403,
        parties.overseer("auditor"): 403,
        parties.own(one): 201,
        parties.admin(): 201,
    }.items():
        assert caller.post(path_of(one), json=body).status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"scopes": "data:read"},
        {"auth_method": "client_secret_post"},
        {"auth_method": "none"},
        {"roles": ["root"]},
        {"secret": "mine"},
        {"redirect_uris": ["https://a.example/cb#x"]},
    ],
    ids=str,
)
def test_a_client_that_is_not_well_formed_is_a_400(
    parties: Parties, change: dict[str, object]
) -> None:
    one = parties.organisation()
    answer = parties.own(one).post(path_of(one), json={**wish("data:read"), **change})
    assert answer.status_code == 400


def test_a_revoked_client_stays_revoked_and_gets_no_secret(parties: Parties) -> None:
    one = parties.organisation()
    path = f"{path_of(one)}/{parties.client(one)['client_id']}"
    for _ in range(2):
        answer = parties.own(one).post(f"{path}/revoke")
        assert (answer.status_code, answer.json()["state"]) == (200, "revoked")
    refused = parties.own(one).post(f"{path}/rotate-secret")
    assert refused.status_code == 409


def test_a_public_client_has_no_secret_to_rotate(parties: Parties) -> None:
    one = parties.organisation()
    made = parties.client(one, auth_method="none", redirect_uris=["https://app.example/cb"])
    assert made["client_secret"] is None
    refused = parties.own(one).post(f"{path_of(one)}/{made['client_id']}/rotate-secret")
    assert refused.status_code == 422


def test_a_fresh_secret_goes_to_nobody_who_could_not_have_made_the_client(
    parties: Parties,
) -> None:
    one = parties.organisation()
    made = parties.client(one, scopes=["contracts:sign", "billing:write"])
    path = f"{path_of(one)}/{made['client_id']}/rotate-secret"
    weak = parties.own(one, "organisations:write", "billing:write")
    refused = weak.post(path)
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:zhigu:problem:scope-not-yours-to-give"
    assert refused.json()["scopes"] == ["contracts:sign"]
    strong = parties.own(one, "organisations:write", "billing:write", "contracts:sign")
    assert strong.post(path).status_code == 200
    assert parties.admin().post(path).status_code == 200


def test_a_foreign_client_is_not_found(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    foreign = parties.client(two)["client_id"]
    for verb in ("revoke", "rotate-secret"):
        assert parties.own(one).post(f"{path_of(one)}/{foreign}/{verb}").status_code == 404
        assert parties.own(one).post(f"{path_of(two)}/{foreign}/{verb}").status_code == 404
        assert parties.admin().post(f"{path_of(one)}/{foreign}/{verb}").status_code == 404
