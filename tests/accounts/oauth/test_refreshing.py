"""A client goes on while the person is away: rotation, reuse, and every way in which it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from httpx import Response
from sqlmodel import col, select

from app.accounts.oauth.forgetting import forget_lapsed
from app.accounts.oauth.liveness import ended_subjects, subjects_of
from app.accounts.oauth.models import AuthorizationCode, Delegation, RefreshToken
from app.accounts.oauth.tokens import TokenVerifier
from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from tests.accounts.conftest import PASSWORD
from tests.accounts.oauth.browser import Browser, exchange, refresh
from tests.accounts.oauth.scenes import EMAIL, OFFLINE, Scene
from tests.accounts.oauth.test_client_credentials import basic, is_refused

NEW_PASSWORD = "staple of a longer sort"


def test_only_whoever_asks_to_go_on_gets_a_refresh_token(scene: Scene) -> None:
    assert "refresh_token" not in scene.delegated("data:read")
    given = scene.delegated()
    assert given["scope"] == OFFLINE
    page = Browser(scene.parties).sign_in(EMAIL, scene.client_id, scope=OFFLINE)
    assert "Go on while you are away" in page.text


def test_a_refresh_token_gives_an_access_token_and_its_own_successor(scene: Scene) -> None:
    given = scene.delegated()
    answer = scene.refresh(given["refresh_token"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    again = answer.json()
    assert set(again) == set(given)
    assert again["refresh_token"] != given["refresh_token"]
    assert again["scope"] == given["scope"]
    assert scene.holds(again["access_token"])
    assert scene.holds(given["access_token"]), "it lives out its ten minutes"
    assert scene.refresh(again["refresh_token"]).status_code == 200


def test_a_public_client_refreshes_without_a_secret(scene: Scene) -> None:
    code = scene.browser.code(EMAIL, scene.public_id, scope=OFFLINE)
    token = exchange(scene.parties, code, {}, client_id=scene.public_id).json()["refresh_token"]
    answer = refresh(scene.parties, token, {}, client_id=scene.public_id)
    assert answer.status_code == 200


def test_a_second_use_ends_everything_that_came_of_the_consent(
    scene: Scene, installation: Installation
) -> None:
    other = scene.delegated()
    first = scene.delegated()
    second = scene.refresh(first["refresh_token"]).json()
    third = scene.refresh(second["refresh_token"]).json()
    for _ in range(2):
        is_refused(scene.refresh(first["refresh_token"]), "invalid_grant", 400)
    for token in (first, second, third):
        assert not scene.holds(token["access_token"])
        is_refused(scene.refresh(token["refresh_token"]), "invalid_grant", 400)
    assert scene.holds(other["access_token"]), "another consent is not touched"
    with installation.transaction(OPERATOR) as session:
        leaf = session.exec(select(Leaf).where(col(Leaf.kind) == "delegation:ended")).one()
    assert '"why":"refresh_token_reused"' in leaf.body


def test_a_refresh_token_narrows_and_never_widens(scene: Scene) -> None:
    given = scene.delegated()
    narrow = scene.refresh(given["refresh_token"], scope="data:read").json()
    assert narrow["scope"] == "data:read"
    whole = scene.refresh(narrow["refresh_token"]).json()
    assert whole["scope"] == OFFLINE, "a narrower token does not narrow the consent"
    refused = scene.refresh(whole["refresh_token"], scope="data:read billing:read")
    is_refused(refused, "invalid_scope", 400)
    assert scene.refresh(whole["refresh_token"]).status_code == 200, "a mistake costs nothing"


@pytest.mark.parametrize("token", ["", "guess", "a.b.c", "A" * 43, "é"])
def test_what_is_no_refresh_token_gives_nothing(scene: Scene, token: str) -> None:
    scene.delegated()
    answer = scene.refresh(token)
    is_refused(answer, "invalid_grant" if token.isascii() and token else "invalid_request", 400)


def test_a_refresh_token_is_for_the_client_that_got_it(scene: Scene) -> None:
    token = scene.delegated()["refresh_token"]
    other = scene.parties.client(scene.organisation_id, redirect_uris=["https://other.example/cb"])
    theirs = basic(other["client_id"], other["client_secret"])
    is_refused(refresh(scene.parties, token, theirs), "invalid_grant", 400)
    public = refresh(scene.parties, token, {}, client_id=scene.public_id)
    is_refused(public, "invalid_grant", 400)
    is_refused(refresh(scene.parties, token, {}, client_id=scene.client_id), "invalid_client", 401)
    no_pages = scene.parties.client(scene.organisation_id)
    auth = basic(no_pages["client_id"], no_pages["client_secret"])
    is_refused(refresh(scene.parties, token, auth), "unauthorized_client", 400)
    assert scene.refresh(token).status_code == 200


def test_a_refresh_token_waits_two_weeks_and_a_consent_lasts_ninety_days(
    scene: Scene, clock: SetClock
) -> None:
    idle = scene.delegated()["refresh_token"]
    used = scene.delegated()["refresh_token"]
    for day in range(0, 84, 12):
        used = scene.refresh(used).json()["refresh_token"]
        clock.advance(timedelta(days=12))
        if day:
            is_refused(scene.refresh(idle), "invalid_grant", 400)
    used = scene.refresh(used).json()["refresh_token"]
    clock.advance(timedelta(days=6, seconds=-1))
    assert scene.refresh(used).status_code == 200
    clock.advance(timedelta(seconds=1))
    fresh = scene.delegated()["refresh_token"]
    is_refused(scene.refresh(used), "invalid_grant", 400)
    assert scene.refresh(fresh).status_code == 200


def by_change_of_password(scene: Scene, given: dict[str, str]) -> None:
    body = {"present": PASSWORD, "wanted": NEW_PASSWORD}
    answer = scene.parties.api.with_token(given["access_token"]).post(
        "/api/v1/me/password", json=body
    )
    assert answer.status_code == 200, answer.text


def by_removal(scene: Scene, _given: dict[str, str]) -> None:
    scene.parties.member(scene.organisation_id, "second@example.cn")
    path = f"/api/v1/organisations/{scene.organisation_id}/members/{scene.person_id}/remove"
    assert scene.own().post(path).status_code == 200


def by_revocation_of_the_client(scene: Scene, _given: dict[str, str]) -> None:
    path = f"/api/v1/organisations/{scene.organisation_id}/clients/{scene.client_id}/revoke"
    assert scene.own().post(path).status_code == 200


def by_suspension(scene: Scene, _given: dict[str, str]) -> None:
    path = f"/api/v1/organisations/{scene.organisation_id}/suspend"
    assert scene.parties.admin().post(path, json={"reason": "查"}).status_code == 200


def by_the_client(scene: Scene, given: dict[str, str]) -> None:
    assert scene.form("/oauth/revoke", token=given["refresh_token"]).status_code == 200


def by_the_person(scene: Scene, given: dict[str, str]) -> None:
    person = scene.parties.api.with_token(given["access_token"])
    (row,) = person.get("/api/v1/me/delegations").json()["items"]
    assert (row["client_name"], row["scope"], row["state"]) == ("Portal", OFFLINE, "active")
    assert person.post(f"/api/v1/me/delegations/{row['id']}/end").json()["state"] == "ended"


WAYS_TO_END = [
    by_change_of_password,
    by_removal,
    by_revocation_of_the_client,
    by_suspension,
    by_the_client,
    by_the_person,
]


@pytest.mark.parametrize("end", WAYS_TO_END, ids=lambda end: end.__name__)
def test_what_ends_the_right_ends_its_tokens(
    scene: Scene, end: Callable[[Scene, dict[str, str]], None]
) -> None:
    given = scene.delegated()
    end(scene, given)
    assert not scene.holds(given["access_token"])
    answer = scene.refresh(given["refresh_token"])
    if end in (by_revocation_of_the_client, by_suspension):
        is_refused(answer, "invalid_client", 401)
    else:
        is_refused(answer, "invalid_grant", 400)


def test_whoever_remembers_tokens_hears_of_the_end(
    scene: Scene, installation: Installation
) -> None:
    given = scene.delegated()
    actor, _ = TokenVerifier(installation).verify(given["access_token"])
    for held in (True, False):
        with installation.transaction(OPERATOR, writes=False) as session:
            assert subjects_of(actor).isdisjoint(ended_subjects(session)) is held
        by_the_client(scene, given)


def test_a_lesser_role_is_heard_of_at_the_next_refresh(scene: Scene) -> None:
    given = scene.delegated()
    scene.parties.member(scene.organisation_id, "second@example.cn")
    path = f"/api/v1/organisations/{scene.organisation_id}/members/{scene.person_id}/roles"
    assert scene.own().post(path, json={"role": "viewer"}).status_code == 200
    assert not scene.holds(given["access_token"])
    again = scene.refresh(given["refresh_token"]).json()
    assert again["scope"] == "offline_access listings:read"
    assert scene.holds(again["access_token"])


def test_a_person_ends_only_what_is_theirs_and_a_program_nothing(scene: Scene) -> None:
    given = scene.delegated()
    row = scene.parties.api.with_token(given["access_token"]).get("/api/v1/me/delegations").json()
    path = f"/api/v1/me/delegations/{row['items'][0]['id']}/end"
    scene.parties.member(scene.organisation_id, "second@example.cn")
    code = Browser(scene.parties).code("second@example.cn", scene.client_id)
    other = exchange(scene.parties, code, scene.auth).json()["access_token"]
    for caller in (scene.parties.api.with_token(other), scene.own()):
        assert caller.post(path).status_code == 404
    assert scene.own().get("/api/v1/me/delegations").json()["items"] == []
    assert scene.holds(given["access_token"])


def test_an_ended_delegation_stays_ended_for_a_code_that_was_given_before(scene: Scene) -> None:
    given = scene.delegated()
    code = Browser(scene.parties).code(EMAIL, scene.client_id)
    by_change_of_password(scene, given)
    is_refused(exchange(scene.parties, code, scene.auth), "invalid_grant", 400)


def test_of_parallel_uses_of_one_refresh_token_one_wins_and_the_consent_is_over(
    scene: Scene, installation: Installation
) -> None:
    token = scene.delegated()["refresh_token"]
    together, answers = threading.Barrier(4), list[Response]()

    def use() -> None:
        together.wait()
        answers.append(scene.refresh(token))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert not scene.holds(won["access_token"])
    with installation.transaction(OPERATOR) as session:
        assert len(session.exec(select(RefreshToken)).all()) == 2


def test_what_lapsed_long_ago_is_forgotten_and_what_lives_is_not(
    scene: Scene, installation: Installation, clock: SetClock
) -> None:
    scene.delegated("data:read")
    token = scene.delegated()["refresh_token"]
    clock.advance(timedelta(days=13))
    token = scene.refresh(token).json()["refresh_token"]
    clock.advance(timedelta(days=3))
    forget_lapsed(installation)
    with installation.transaction(OPERATOR) as session:
        rows = [
            len(session.exec(select(model)).all())
            for model in (Delegation, AuthorizationCode, RefreshToken)
        ]
    assert rows == [1, 1, 1], "the used token has lapsed, the consent has not"
    assert scene.refresh(token).status_code == 200
    clock.advance(timedelta(days=120))
    forget_lapsed(installation)
    with installation.transaction(OPERATOR) as session:
        assert session.exec(select(Delegation)).all() == []
