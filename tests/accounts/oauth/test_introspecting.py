"""What a token is good for, told to whom it concerns (RFC 7662), and to nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.kernel.clock import SetClock
from tests.accounts.conftest import Parties
from tests.accounts.oauth.scenes import ISSUER, OFFLINE, Scene
from tests.accounts.oauth.test_client_credentials import ask, basic, is_refused


def test_a_persons_token_tells_who_acts_by_what(scene: Scene) -> None:
    given = scene.delegated()
    facts = scene.introspect(given["access_token"])
    assert facts.pop("jti")
    assert facts.pop("exp")
    assert facts == {
        "active": True,
        "token_type": "Bearer",
        "scope": OFFLINE,
        "client_id": scene.client_id,
        "sub": scene.person_id,
        "org": scene.organisation_id,
        "aud": ISSUER,
        "iss": ISSUER,
    }
    refresh_token = scene.introspect(given["refresh_token"])
    assert (refresh_token["active"], refresh_token["sub"]) == (True, scene.person_id)
    assert refresh_token["exp"] - refresh_token["iat"] == 14 * 86_400


def test_a_programs_token_tells_the_program(scene: Scene) -> None:
    token = ask(scene.parties, scene.auth, scope="data:read").json()["access_token"]
    facts = scene.introspect(token)
    assert (facts["sub"], facts["client_id"]) == (scene.client_id, scene.client_id)
    assert facts["scope"] == "data:read"


def test_its_organisation_and_the_operator_may_know_and_a_stranger_not(
    scene: Scene, parties: Parties
) -> None:
    given = scene.delegated()
    sibling = parties.client(scene.organisation_id)
    operators = parties.client(parties.operator.organisation_id)
    stranger = parties.client(parties.organisation())
    for made, knows in ((sibling, True), (operators, True), (stranger, False)):
        auth = basic(made["client_id"], made["client_secret"])
        for token in (given["access_token"], given["refresh_token"]):
            facts = scene.introspect(token, auth)
            assert facts["active"] is knows
            assert knows or facts == {"active": False}


@pytest.mark.parametrize("token", ["x", "a.b.c", "A" * 43, "A" * 5000])
def test_what_is_no_token_is_not_active(scene: Scene, token: str) -> None:
    assert scene.introspect(token) == {"active": False}


def test_a_token_that_is_over_is_not_active(scene: Scene, clock: SetClock) -> None:
    inactive = {"active": False}
    first = scene.delegated()
    second = scene.refresh(first["refresh_token"]).json()
    assert scene.introspect(first["refresh_token"]) == inactive, "it was used"
    assert scene.form("/oauth/revoke", token=first["access_token"]).status_code == 200
    assert scene.introspect(first["access_token"]) == inactive
    assert scene.introspect(second["access_token"])["active"]
    clock.advance(timedelta(minutes=11))
    assert scene.introspect(second["access_token"]) == inactive
    assert scene.introspect(second["refresh_token"])["active"]
    assert scene.form("/oauth/revoke", token=second["refresh_token"]).status_code == 200
    assert scene.introspect(second["refresh_token"]) == inactive


def test_whoever_asks_proves_who_they_are(scene: Scene) -> None:
    token = scene.delegated()["access_token"]
    for headers in ({}, basic(scene.client_id, "guess"), basic("cli_x", "guess")):
        is_refused(scene.form("/oauth/introspect", headers, token=token), "invalid_client", 401)
    public = scene.form("/oauth/introspect", {}, token=token, client_id=scene.public_id)
    is_refused(public, "invalid_client", 401)
    is_refused(scene.form("/oauth/introspect"), "invalid_request", 400)
