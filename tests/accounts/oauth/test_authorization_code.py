"""A client acts for a person: authorization code with PKCE, and the ways to abuse it."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlmodel import col, select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from tests.accounts.conftest import Parties
from tests.accounts.oauth.browser import (
    REDIRECT,
    Browser,
    asked_for,
    exchange,
    query_of,
)
from tests.accounts.oauth.scenes import EMAIL, ISSUER, Scene
from tests.accounts.oauth.test_client_credentials import basic, is_refused


def test_a_person_signs_in_agrees_and_the_client_acts_for_them(scene: Scene) -> None:
    page = scene.browser.sign_in(EMAIL, scene.client_id)
    assert "Portal" in page.text
    assert "Call data under contracts" in page.text
    assert "app.example" in page.text
    answer = scene.browser.submit(page, decision="allow")
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith(REDIRECT + "&")
    given = query_of(location)
    assert set(given) == {"tenant", "code", "state", "iss"}
    assert (given["state"], given["iss"]) == ("s t@te/+=&", ISSUER)
    token = exchange(scene.parties, given["code"], scene.auth)
    assert token.status_code == 200, token.text
    assert set(token.json()) == {"access_token", "token_type", "expires_in", "scope"}
    assert token.json()["scope"] == "listings:read data:read"
    me = scene.parties.api.with_token(token.json()["access_token"]).get("/api/v1/me").json()
    assert (me["kind"], me["id"], me["name"]) == ("person", scene.person_id, "李四")
    assert (me["client_id"], me["organisation_id"]) == (scene.client_id, scene.organisation_id)
    assert (me["roles"], me["scopes"]) == (["owner"], ["listings:read", "data:read"])


def test_a_public_client_needs_no_secret_but_the_verifier(scene: Scene) -> None:
    code = scene.browser.code(EMAIL, scene.public_id)
    answer = exchange(scene.parties, code, {}, client_id=scene.public_id)
    assert answer.status_code == 200


def test_a_consent_is_recorded_as_the_persons_own(scene: Scene, installation: Installation) -> None:
    scene.browser.code(EMAIL, scene.client_id)
    with installation.transaction(OPERATOR) as session:
        leaf = session.exec(select(Leaf).where(col(Leaf.kind) == "delegation:given")).one()
    assert f'"actor":{{"id":"{scene.person_id}","kind":"person"' in leaf.body


def test_a_role_holds_back_what_it_does_not_allow(parties: Parties) -> None:
    scene = Scene(parties, "viewer")
    page = scene.browser.sign_in(EMAIL, scene.client_id)
    assert "Beyond your role" in page.text
    code = query_of(scene.browser.submit(page, decision="allow").headers["location"])["code"]
    assert exchange(parties, code, scene.auth).json()["scope"] == "listings:read"
    nothing = Browser(parties).sign_in(EMAIL, scene.client_id, scope="data:read")
    assert nothing.status_code == 303
    assert query_of(nothing.headers["location"])["error"] == "access_denied"


def test_a_person_may_refuse(scene: Scene) -> None:
    page = scene.browser.sign_in(EMAIL, scene.client_id)
    for decision in ("deny", "", "ALLOW"):
        answer = scene.browser.submit(page, decision=decision)
        told = query_of(answer.headers["location"])
        assert told["error"] == "access_denied"
        assert (told["state"], told["iss"]) == ("s t@te/+=&", ISSUER)
        assert "code" not in told


def test_a_second_use_of_a_code_takes_back_what_the_first_gave(
    scene: Scene, installation: Installation
) -> None:
    code = scene.browser.code(EMAIL, scene.client_id)
    token = exchange(scene.parties, code, scene.auth).json()["access_token"]
    bearer = scene.parties.api.with_token(token)
    assert bearer.get("/api/v1/me").status_code == 200
    for _ in range(2):
        is_refused(exchange(scene.parties, code, scene.auth), "invalid_grant", 400)
        assert bearer.get("/api/v1/me").status_code == 401
    with installation.transaction(OPERATOR) as session:
        leaf = session.exec(select(Leaf).where(col(Leaf.kind) == "delegation:ended")).one()
    assert '"why":"code_reused"' in leaf.body


def test_a_code_is_seen_to_be_reused_long_after_it_lapsed(scene: Scene, clock: SetClock) -> None:
    code = scene.browser.code(EMAIL, scene.client_id)
    token = exchange(scene.parties, code, scene.auth).json()["access_token"]
    clock.advance(timedelta(minutes=9))
    is_refused(exchange(scene.parties, code, scene.auth), "invalid_grant", 400)
    assert scene.parties.api.with_token(token).get("/api/v1/me").status_code == 401


def test_a_code_lasts_a_minute(scene: Scene, clock: SetClock) -> None:
    code = scene.browser.code(EMAIL, scene.client_id)
    clock.advance(timedelta(seconds=60))
    is_refused(exchange(scene.parties, code, scene.auth), "invalid_grant", 400)
    clock.advance(timedelta(seconds=-1))
    assert exchange(scene.parties, code, scene.auth).status_code == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "v" * 42}, "invalid_request"),
        ({"code_verifier": "v" * 129}, "invalid_request"),
        ({"code_verifier": "v" * 42 + "!"}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"redirect_uri": "https://app.example/cb"}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
        ({"code": "guess"}, "invalid_grant"),
        ({"grant_type": "client_credentials", "scope": "admin"}, "invalid_scope"),
    ],
    ids=str,
)
def test_a_code_is_worth_nothing_without_all_that_belongs_to_it(
    scene: Scene, fields: dict[str, str], error: str
) -> None:
    code = scene.browser.code(EMAIL, scene.client_id)
    is_refused(exchange(scene.parties, code, scene.auth, **fields), error, 400)
    assert exchange(scene.parties, code, scene.auth).status_code == 200


def test_a_code_is_for_the_client_that_asked(scene: Scene) -> None:
    code = scene.browser.code(EMAIL, scene.client_id)
    other = exchange(scene.parties, code, {}, client_id=scene.public_id)
    is_refused(other, "invalid_grant", 400)
    nobody = exchange(scene.parties, code, {}, client_id=scene.client_id)
    is_refused(nobody, "invalid_client", 401)
    assert exchange(scene.parties, code, scene.auth).status_code == 200


def test_a_code_ends_with_the_person_and_the_client(scene: Scene) -> None:
    parties, own = scene.parties, scene.parties.own(scene.organisation_id)
    path = f"/api/v1/organisations/{scene.organisation_id}"
    code = scene.browser.code(EMAIL, scene.client_id)
    parties.member(scene.organisation_id, "second@example.cn")
    own.post(f"{path}/members/{scene.person_id}/remove")
    is_refused(exchange(parties, code, scene.auth), "invalid_grant", 400)
    second = Browser(parties).code("second@example.cn", scene.client_id)
    own.post(f"{path}/clients/{scene.client_id}/revoke")
    is_refused(exchange(parties, second, scene.auth), "invalid_client", 401)


def test_a_persons_token_ends_with_role_and_membership(scene: Scene) -> None:
    parties, own = scene.parties, scene.parties.own(scene.organisation_id)
    parties.member(scene.organisation_id, "second@example.cn")
    path = f"/api/v1/organisations/{scene.organisation_id}/members/{scene.person_id}"

    def fresh() -> str:
        code = Browser(parties).code(EMAIL, scene.client_id)
        return str(exchange(parties, code, scene.auth).json()["access_token"])

    token = fresh()
    own.post(f"{path}/roles", json={"role": "developer"})
    assert parties.api.with_token(token).get("/api/v1/me").status_code == 401
    token = fresh()
    assert parties.api.with_token(token).get("/api/v1/me").json()["roles"] == ["developer"]
    own.post(f"{path}/remove")
    assert parties.api.with_token(token).get("/api/v1/me").status_code == 401


def test_a_client_serves_people_of_its_own_organisation_or_everybody_if_it_is_the_operators(
    scene: Scene,
) -> None:
    parties = scene.parties
    stranger = parties.organisation()
    parties.member(stranger, "stranger@example.cn")
    denied = Browser(parties).sign_in("stranger@example.cn", scene.client_id)
    assert denied.status_code == 303
    assert query_of(denied.headers["location"])["error"] == "access_denied"
    console = parties.client(parties.operator.organisation_id, redirect_uris=[REDIRECT])
    code = Browser(parties).code("stranger@example.cn", console["client_id"])
    auth = basic(console["client_id"], console["client_secret"])
    token = exchange(parties, code, auth).json()["access_token"]
    me = parties.api.with_token(token).get("/api/v1/me").json()
    assert (me["organisation_id"], me["client_id"]) == (stranger, console["client_id"])


REDIRECT_TRICKS = [
    None,
    "",
    "https://app.example/cb",
    "https://app.example/cb?tenant=2",
    "https://app.example/cb?tenant=1&x=1",
    "https://app.example/cb?tenant=1#x",
    "https://app.example/cb/?tenant=1",
    "https://app.example/CB?tenant=1",
    "https://APP.example/cb?tenant=1",
    "https://app.example:443/cb?tenant=1",
    "http://app.example/cb?tenant=1",
    "https://app.example.evil.example/cb?tenant=1",
    "https://app.example@evil.example/cb?tenant=1",
    "https://evil.example/https://app.example/cb?tenant=1",
    "https://app.example/../cb?tenant=1",
    "https://app.example/%63b?tenant=1",
    "https://app.example\\@evil.example/cb?tenant=1",
    "//app.example/cb?tenant=1",
    "/cb",
    "javascript:alert(1)",
    " https://app.example/cb?tenant=1",
    "https://app.example/cb?tenant=1\r\nSet-Cookie: a=b",
    "https://app.example/cb?tenant=1\u0000",
]


@pytest.mark.parametrize("uri", REDIRECT_TRICKS, ids=repr)
def test_nothing_ever_leads_to_an_address_that_is_not_registered(
    scene: Scene, uri: str | None
) -> None:
    for changes in ({}, {"scope": "root"}, {"response_type": "token"}, {"client_id": "x"}):
        request = asked_for(scene.client_id, **{"redirect_uri": uri, **changes})
        answer = scene.browser.get("/oauth/authorize?" + urlencode(request))
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "root"}, "invalid_scope"),
        ({"scope": "data:read admin"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "v" * 44}, "invalid_request"),
        ({"code_challenge": "v" * 42 + "!"}, "invalid_request"),
    ],
    ids=str,
)
def test_a_request_that_does_not_hold_is_told_to_the_registered_address(
    scene: Scene, changes: dict[str, str | None], error: str
) -> None:
    request = asked_for(scene.client_id, **changes)
    answer = scene.browser.get("/oauth/authorize?" + urlencode(request))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(REDIRECT + "&")
    told = query_of(answer.headers["location"])
    assert told["error"] == error
    assert (told["state"], told["iss"]) == ("s t@te/+=&", ISSUER)


def test_a_request_with_anything_twice_or_unreadable_leads_nowhere(scene: Scene) -> None:
    good = urlencode(asked_for(scene.client_id))
    for query in (
        good + "&state=2",
        good + "&client_id=x",
        good + "&redirect_uri=https%3A%2F%2Fevil.example",
        good + "&x=%FF",
        good + "&x=%00",
        good + "&x=%C3%A9",
        good + "&x=" + "y" * 20_000,
        good.replace("response_type=code", "response_type=%22%5C"),
        good.replace("state=", "state=%0d%0a"),
        "",
        "%",
    ):
        answer = scene.browser.get(f"/oauth/authorize?{query}")
        assert answer.status_code == 400
        assert "location" not in answer.headers
