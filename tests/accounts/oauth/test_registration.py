"""A client is registered in the words of RFC 7591, by whoever may make clients."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Response

from tests.accounts.conftest import Parties
from tests.accounts.oauth.browser import REDIRECT, Browser, exchange
from tests.accounts.oauth.scenes import EMAIL, OFFLINE
from tests.accounts.oauth.signers import Signer
from tests.accounts.oauth.test_client_credentials import ask, basic

METADATA = {
    "client_name": "数据看板",
    "redirect_uris": [REDIRECT],
    "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    "scope": "listings:read data:read offline_access",
    "logo_uri": "https://app.example/logo.png",
    "software_id": "dashboard",
}


def register(parties: Parties, organisation_id: str, **changes: Any) -> Response:
    body = {name: value for name, value in {**METADATA, **changes}.items() if value is not None}
    return parties.own(organisation_id).post("/oauth/register", json=body)


def test_a_client_is_registered_and_serves(parties: Parties) -> None:
    one = parties.organisation()
    parties.member(one, EMAIL)
    answer = register(parties, one)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made["client_secret_expires_at"] == 0
    assert made["client_name"] == "数据看板"
    assert made["scope"] == "listings:read data:read"
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["response_types"] == ["code"]
    assert not {"logo_uri", "software_id"} & set(made), "what is not kept is not told"
    auth = basic(made["client_id"], made["client_secret"])
    assert ask(parties, auth).status_code == 200
    code = Browser(parties).code(EMAIL, made["client_id"], scope=OFFLINE)
    assert "refresh_token" in exchange(parties, code, auth).json()
    path = f"/api/v1/organisations/{one}/clients"
    (item,) = parties.own(one).get(path).json()["items"]
    assert item["client_id"] == made["client_id"]


def test_what_is_left_out_is_as_the_rfc_has_it(parties: Parties) -> None:
    one = parties.organisation()
    made = register(parties, one, grant_types=None, scope=None).json()
    assert made["grant_types"] == ["authorization_code"]
    assert made["scope"] == "listings:read"


def test_a_client_may_have_keys_or_nothing_in_place_of_a_secret(parties: Parties) -> None:
    one, signer = parties.organisation(), Signer("ES256")
    keys = {"keys": [signer.jwk]}
    method = "token_endpoint_auth_method"
    made = register(parties, one, jwks=keys, **{method: "private_key_jwt"}).json()
    assert made["jwks"] == keys
    assert "client_secret" not in made
    public = register(parties, one, grant_types=["authorization_code"], **{method: "none"}).json()
    assert public[method] == "none"
    assert "client_secret" not in public


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_client_metadata"),
        ({"redirect_uris": "x"}, "invalid_client_metadata"),
        ({"client_name": None}, "invalid_client_metadata"),
        ({"client_name": "a\nb"}, "invalid_client_metadata"),
        ({"client_name": "\u202e"}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": ["refresh_token"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
        ({"jwks_uri": "https://app.example/jwks"}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}}, "invalid_client_metadata"),
        ({"scope": "root"}, "invalid_client_metadata"),
        ({"scope": "openid"}, "invalid_client_metadata"),
        ({"scope": "admin"}, "invalid_client_metadata"),
    ],
    ids=str,
)
def test_metadata_that_do_not_hold_make_no_client(
    parties: Parties, changes: dict[str, Any], error: str
) -> None:
    one = parties.organisation()
    answer = register(parties, one, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == error
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert parties.own(one).get(f"/api/v1/organisations/{one}/clients").json()["items"] == []


def test_nobody_registers_what_they_lack_or_without_the_right_to(parties: Parties) -> None:
    one = parties.organisation()
    assert parties.api.anonymous().post("/oauth/register", json=METADATA).status_code == 401
    reader = parties.own(one, "organisations:read")
    assert reader.post("/oauth/register", json=METADATA).status_code == 403
    poor = parties.own(one, "organisations:write", "listings:read")
    answer = poor.post("/oauth/register", json=METADATA)
    assert answer.json()["error"] == "invalid_client_metadata"
    assert poor.post("/oauth/register", json={**METADATA, "scope": "listings:read"}).is_success


@pytest.mark.parametrize("body", [b"", b"[]", b'{"client_name": "a", "client_name": "b"}', b"\xff"])
def test_what_cannot_be_read_makes_no_client(parties: Parties, body: bytes) -> None:
    caller = parties.own(parties.organisation())
    headers = {"Content-Type": "application/json"}
    answer = caller.post("/oauth/register", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert caller.post("/oauth/register", content=b"client_name=a", headers=form).status_code == 400
