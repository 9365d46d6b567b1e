"""A password is changed by the one before it, or set once by a link: over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlencode

import httpx
from httpx import Response
from sqlmodel import select

from app.accounts.checking import problems
from app.accounts.oauth.forgetting import forget_lapsed
from app.accounts.people.changing import ProvenChange, change_password, prove_change
from app.accounts.people.errors import PasswordChanged
from app.accounts.people.models import PasswordReset
from app.accounts.people.resetting import RESET_LIFE
from app.db.installation import Installation
from app.kernel.actor import OPERATOR, Actor, ActorKind
from app.kernel.clock import SetClock
from tests.accounts.conftest import PASSWORD, Parties
from tests.accounts.oauth.browser import FORM, Browser, asked_for, exchange
from tests.accounts.people.conftest import EMAIL, OTHER, Someone
from tests.breaking import missed
from tests.live import LiveServer

CHANGE = "/api/v1/me/password"


def change(someone: Someone, token: str, present: str = PASSWORD, wanted: str = OTHER) -> Response:
    body = {"present": present, "wanted": wanted}
    return someone.parties.api.with_token(token).post(CHANGE, json=body)


def slug(answer: Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def reset_link(someone: Someone) -> str:
    answer = someone.parties.own(someone.organisation_id).post(someone.path("password-reset"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["state"] == "issued"
    assert made["url"].endswith(f"/oauth/reset-password?token={made['token']}")
    return str(made["url"]).partition("/oauth/")[2]


def use(parties: Parties, link: str, password: str = OTHER, again: str | None = None) -> Response:
    browser = Browser(parties)
    page = browser.get(f"/oauth/{link}")
    assert page.status_code == 200
    return browser.submit(page, password=password, again=again or password)


def test_a_changed_password_ends_every_session_token_and_code(someone: Someone) -> None:
    token, other = someone.token(), someone.token()
    browser = Browser(someone.parties)
    code = browser.code(EMAIL, someone.client_id)
    answer = change(someone, token)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"state": "changed", "sessions_ended": 3}
    for lost in (token, other):
        assert someone.parties.api.with_token(lost).get("/api/v1/me").status_code == 401
    assert exchange(someone.parties, code, {}, client_id=someone.client_id).status_code == 400
    page = browser.get("/oauth/authorize?" + urlencode(asked_for(someone.client_id)))
    assert 'type="password"' in page.text
    assert someone.signs_in(PASSWORD).status_code == 422
    assert someone.signs_in(OTHER).status_code == 303


def test_another_persons_sessions_and_tokens_stay(someone: Someone) -> None:
    someone.parties.member(someone.organisation_id, "zhao@example.cn", "viewer")
    other = Someone(
        someone.parties, someone.organisation_id, "", someone.client_id, "zhao@example.cn"
    )
    theirs = other.caller("listings:read")
    assert change(someone, someone.token()).status_code == 200
    assert theirs.get("/api/v1/me").status_code == 200


def test_a_wrong_present_password_counts_as_a_try_and_changes_nothing(someone: Someone) -> None:
    token = someone.token()
    for _ in range(5):
        answer = change(someone, token, present="not the password")
        assert (answer.status_code, slug(answer)) == (422, "password-not-right")
    blocked = change(someone, token)
    assert (blocked.status_code, slug(blocked)) == (429, "too-many-tries")
    assert blocked.headers["retry-after"] == "30"
    assert someone.signs_in().status_code == 429, "the same tries as on the page"
    assert someone.parties.api.with_token(token).get("/api/v1/me").status_code == 200


def test_a_weak_new_password_is_refused_and_costs_no_try(someone: Someone) -> None:
    token = someone.token()
    for wanted in ("short", "passwordpassword", "li 李四 is a person's name"):
        for _ in range(3):
            answer = change(someone, token, wanted=wanted)
            assert (answer.status_code, slug(answer)) == (422, "password-too-weak")
    assert change(someone, token).status_code == 200


def test_a_program_has_no_password(someone: Someone) -> None:
    program = someone.parties.own(someone.organisation_id)
    answer = program.post(CHANGE, json={"present": PASSWORD, "wanted": OTHER})
    assert (answer.status_code, slug(answer)) == (403, "people-only")


def test_of_changes_that_were_proved_together_one_wins(
    someone: Someone, installation: Installation
) -> None:
    actor = Actor(ActorKind.PERSON, someone.person_id, someone.organisation_id)
    proved = [
        prove_change(installation, actor, PASSWORD, f"{OTHER} {number}", "198.51.100.1")
        for number in range(3)
    ]

    def one(change: ProvenChange) -> bool:
        try:
            with installation.transaction(actor) as session:
                change_password(session, change)
        except PasswordChanged:
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        won = list(pool.map(one, proved))
    assert won.count(True) == 1
    assert someone.signs_in(f"{OTHER} {won.index(True)}").status_code == 303


def test_a_reset_link_sets_the_password_once(someone: Someone, installation: Installation) -> None:
    theirs = someone.caller()
    link = reset_link(someone)
    assert someone.signs_in().status_code == 303, "until then the old password holds"
    done = use(someone.parties, link)
    assert done.status_code == 200
    assert "is saved" in done.text
    assert theirs.get("/api/v1/me").status_code == 401
    assert someone.signs_in(OTHER).status_code == 303
    assert someone.signs_in(PASSWORD).status_code == 422
    again = use(someone.parties, link, PASSWORD)
    assert again.status_code == 422
    assert "does not work" in again.text
    assert someone.signs_in(OTHER).status_code == 303
    with installation.transaction(OPERATOR, writes=False) as session:
        assert list(problems(session)) == []


def test_a_link_that_is_not_good_never_says_why(
    someone: Someone, clock: SetClock, installation: Installation
) -> None:
    replaced = reset_link(someone)
    lapsed = reset_link(someone)
    clock.advance(RESET_LIFE)
    gone = str(someone.parties.member(someone.organisation_id, "gone@example.cn", "viewer")["id"])
    other = Someone(someone.parties, someone.organisation_id, gone, someone.client_id)
    of_nobody = reset_link(other)
    someone.parties.own(someone.organisation_id).post(other.path("remove"))
    texts = set()
    for link in (replaced, lapsed, of_nobody, "reset-password?token=x", "reset-password?token="):
        answer = use(someone.parties, link)
        assert answer.status_code == 422
        token = link.partition("=")[2]
        text = answer.text.replace(f'name="token" value="{token}"', "")
        texts.add(text.partition('name="form_token"')[0])
        assert "does not work" in text
    assert len(texts) == 1
    assert someone.signs_in().status_code == 303
    clock.advance(timedelta(days=2))
    forget_lapsed(installation)
    with installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(PasswordReset)).all() == []


def test_a_mistake_on_the_page_does_not_spend_the_link(someone: Someone) -> None:
    link = reset_link(someone)
    for fields, said in (
        ({"password": OTHER, "again": PASSWORD}, "not the same"),
        ({"password": "xk7Qp2"}, "too short"),
        ({"password": "passwordpassword"}, "easily guessed"),
    ):
        answer = use(someone.parties, link, **fields)
        assert answer.status_code == 422
        assert said in answer.text
        assert fields["password"] not in answer.text
    stale = Browser(someone.parties).post(
        "/oauth/reset-password", token=link.partition("=")[2], password=OTHER, again=OTHER
    )
    assert "expired" in stale.text
    assert use(someone.parties, link).status_code == 200


def test_of_parallel_uses_of_one_link_one_works(live: LiveServer, someone: Someone) -> None:
    link = reset_link(someone)
    token = link.partition("=")[2]
    browser = Browser(someone.parties)
    page = browser.get(f"/oauth/{link}")
    form_token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())

    def one(number: int) -> tuple[int, str]:
        password = f"{OTHER} {number}"
        fields = {"form_token": form_token, "token": token, "password": password, "again": password}
        answer = httpx.post(
            f"{live.url}/oauth/reset-password",
            content=urlencode(fields),
            headers={**FORM, "Cookie": cookies},
            timeout=30,
        )
        return answer.status_code, password

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(one, range(4)))
    assert sorted(status for status, _ in told) == [200, 422, 422, 422]
    (password,) = (password for status, password in told if status == 200)
    assert someone.signs_in(password).status_code == 303


def test_nobody_resets_who_is_mightier_or_themselves(someone: Someone) -> None:
    path = someone.path("password-reset")
    weak = someone.parties.own(someone.organisation_id, "organisations:write", "listings:read")
    answer = weak.post(path)
    assert (answer.status_code, slug(answer)) == (403, "scope-not-yours-to-give")
    own = someone.caller("organisations:write").post(path)
    assert own.status_code == 403
    stranger = someone.parties.own(someone.parties.organisation())
    assert stranger.post(path).status_code == 404


def test_a_reset_without_a_leaf_is_named(someone: Someone, installation: Installation) -> None:
    use(someone.parties, reset_link(someone))
    delete = "DELETE FROM audit_leaf WHERE kind = 'person:{}'"
    breaks = {
        "a reset that nobody issued": (delete.format("reset_issued"), "was issued without a leaf"),
        "a reset used in silence": (delete.format("password_reset"), "was used without a leaf"),
    }
    assert missed(installation, problems, breaks) == {}
