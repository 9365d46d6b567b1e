"""The pages on which a person signs in and agrees: what protects them, and whom they tell what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import msgspec
import pytest
from litestar.testing import TestClient

from app import wiring
from app.accounts.oauth import signing_in
from app.accounts.oauth.liveness import AccountAuthenticator
from app.accounts.oauth.wording import WORDS, choose_language
from app.accounts.scopes import PERSONAL_SCOPES, SCOPES
from app.db.installation import Installation, open_installation
from app.kernel.clock import SetClock
from app.main import create_app
from tests.accounts.conftest import PASSWORD, Operator, Parties
from tests.accounts.oauth.browser import REDIRECT, Browser, asked_for, query_of
from tests.conftest import Api, KnownActors

EMAIL = "li@example.cn"
SESSION = "zhigu_session"
FORM_COOKIE = "zhigu_form"


@pytest.fixture
def client_id(parties: Parties) -> str:
    organisation_id = parties.organisation()
    parties.member(organisation_id, EMAIL)
    made = parties.client(organisation_id, name="<b>Portal</b>", redirect_uris=[REDIRECT])
    return str(made["client_id"])


def start(client_id: str) -> str:
    return "/oauth/authorize?" + urlencode(asked_for(client_id))


def without_tokens(text: str) -> str:
    return re.sub(r'value="[0-9a-f]{64}"', "", text)


def test_a_page_brings_no_script_and_lets_no_one_frame_it(parties: Parties, client_id: str) -> None:
    browser = Browser(parties)
    pages = [browser.get(start(client_id)), browser.sign_in(EMAIL, client_id)]
    pages.append(browser.get("/oauth/authorize"))
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in page.text
        # No asset, and no link but to a page of ours.
        assert not re.search(r'src="|href="(?!data:,|/oauth/)', page.text)
    assert "form-action 'self' https://app.example;" in pages[0].headers["content-security-policy"]
    assert "&lt;b&gt;Portal&lt;/b&gt;" in pages[0].text
    assert "<b>Portal" not in pages[0].text + pages[1].text


def test_a_page_speaks_chinese_or_english(parties: Parties, client_id: str) -> None:
    for accepted, language, word in (
        ("en-GB,en;q=0.9", "en", "Sign in to Zhigu"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", "登录智谷"),
    ):
        page = Browser(parties, language=accepted).get(start(client_id))
        assert page.headers["content-language"] == language
        assert f'<html lang="{language}">' in page.text
        assert word in page.text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "zh-CN"),
        ("", "zh-CN"),
        ("*", "zh-CN"),
        ("fr", "zh-CN"),
        ("en", "en"),
        ("fr, en;q=0.5", "en"),
        ("en;q=0.4, zh-TW;q=0.5", "zh-CN"),
        ("en;q=0.5, zh;q=0.4", "en"),
        ("en;q=0", "zh-CN"),
        ("en;q=x", "zh-CN"),
        ("english", "zh-CN"),
        ("EN-us", "en"),
    ],
)
def test_the_language_is_the_one_the_browser_likes_better(
    header: str | None, language: str
) -> None:
    assert choose_language(header) == language


def test_every_word_and_scope_is_said_in_both_languages() -> None:
    assert set(WORDS["en"]) == set(WORDS["zh-CN"])
    assert {*PERSONAL_SCOPES, *SCOPES} <= set(WORDS["en"])


def test_cookies_are_kept_from_scripts_and_other_sites(parties: Parties, client_id: str) -> None:
    browser = Browser(parties)
    page = browser.get(start(client_id))
    answer = browser.submit(page, email=EMAIL, password=PASSWORD)
    for response, name in ((page, FORM_COOKIE), (answer, SESSION)):
        (cookie,) = response.headers.get_list("set-cookie")
        assert cookie.startswith(f"{name}=")
        flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
        assert {"httponly", "path=/", "samesite=lax"} <= flags
        assert "secure" not in flags
        assert not any(flag.startswith("domain") for flag in flags)


@pytest.fixture
def tls(installation: Installation) -> Iterator[Installation]:
    """The same stores, reached by TLS."""
    settings = msgspec.structs.replace(installation.settings, public_url="https://zhigu.example")
    opened = open_installation(settings, installation.clock, installation.keys)
    yield opened
    opened.market.dispose()
    opened.usage.dispose()


def test_with_tls_cookies_are_secure_and_bound_to_the_host(
    parties: Parties, client_id: str, tls: Installation, operator: Operator
) -> None:
    actors = KnownActors(AccountAuthenticator(tls))
    app = create_app(tls, actors, wiring.ROUTERS)
    with TestClient(app, raise_server_exceptions=False) as client:
        browser = Browser(Parties(Api(client, actors), operator))
        page = browser.get(start(client_id))
        answer = browser.submit(page, email=EMAIL, password=PASSWORD)
        assert answer.status_code == 303
        for response in (page, answer):
            (cookie,) = response.headers.get_list("set-cookie")
            assert cookie.startswith("__Host-zhigu_")
            assert "; secure" in cookie.lower()
        consent = browser.get(answer.headers["location"])
        given = query_of(browser.submit(consent, decision="allow").headers["location"])
        assert given["iss"] == "https://zhigu.example"


def test_who_fails_to_sign_in_is_not_told_why(
    parties: Parties, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[bool] = []
    real = signing_in.password_fits

    def watched(password: str, kept: str | None) -> bool:
        work.append(kept is not None)
        return real(password, kept)

    monkeypatch.setattr(signing_in, "password_fits", watched)
    stopped = parties.organisation()
    parties.member(stopped, "stopped@example.cn")
    parties.admin().post(f"/api/v1/organisations/{stopped}/suspend", json={"reason": "x"})
    gone_from = parties.organisation()
    gone = parties.member(gone_from, "gone@example.cn", "viewer")["id"]
    parties.own(gone_from).post(f"/api/v1/organisations/{gone_from}/members/{gone}/remove")
    tries = [
        (EMAIL, "wrong password"),
        ("nobody@example.cn", PASSWORD),
        ("stopped@example.cn", PASSWORD),
        ("gone@example.cn", PASSWORD),
        ("a\x00b@example.cn", PASSWORD),
        (EMAIL, ""),
        (EMAIL, "x" * 10_000),
    ]
    texts = set()
    for email, password in tries:
        browser = Browser(parties)
        answer = browser.submit(browser.get(start(client_id)), email=email, password=password)
        assert answer.status_code == 422
        assert SESSION not in browser.cookies
        assert not password or password not in answer.text
        texts.add(without_tokens(answer.text).replace(f'value="{email}"', ""))
    assert len(texts) == 1
    assert work == [True, False, False, False, False, True, True], "as much work for everybody"


def test_a_form_that_is_not_of_this_browser_signs_nobody_in(
    parties: Parties, client_id: str
) -> None:
    other = Browser(parties).get(start(client_id))
    browser = Browser(parties)
    fields = {"email": EMAIL, "password": PASSWORD}
    assert browser.submit(other, **fields).status_code == 422  # no cookie at all
    browser.get(start(client_id))
    answer = browser.submit(other, **fields)  # login CSRF: somebody else's form
    assert answer.status_code == 422
    assert "expired" in answer.text
    path = start(client_id).replace("/oauth/authorize", "/oauth/sign-in")
    for token in ("", "x", "\u00e9", browser.cookies[FORM_COOKIE]):
        assert browser.post(path, form_token=token, **fields).status_code == 422
    assert SESSION not in browser.cookies
    assert browser.submit(answer, **fields).status_code == 303  # the fresh form works


def test_only_the_consent_page_of_this_very_request_can_agree(
    parties: Parties, client_id: str
) -> None:
    browser = Browser(parties)
    page = browser.sign_in(EMAIL, client_id)
    path = start(client_id)
    for token in ("", "x", browser.cookies[SESSION]):
        answer = browser.post(path, decision="allow", form_token=token)
        assert answer.headers["location"] == path
    token = re.findall(r'name="form_token" value="([^"]*)"', page.text)[0]
    wider = path.replace("data%3Aread", "organisations%3Awrite")
    assert wider != path
    swapped = browser.post(wider, decision="allow", form_token=token)
    assert swapped.headers["location"] == wider
    stranger = Browser(parties)
    assert stranger.submit(page, decision="allow").headers["location"] == path
    assert "code" in query_of(browser.submit(page, decision="allow").headers["location"])


def test_a_session_is_new_at_each_sign_in_and_lasts_eight_hours(
    parties: Parties, client_id: str, clock: SetClock
) -> None:
    browser = Browser(parties, cookies={SESSION: "fixed by somebody else"})
    browser.sign_in(EMAIL, client_id)
    first = browser.cookies[SESSION]
    assert first != "fixed by somebody else"
    clock.advance(timedelta(hours=8, seconds=-1))
    assert 'name="decision"' in browser.get(start(client_id)).text
    clock.advance(timedelta(seconds=1))
    page = browser.get(start(client_id))
    assert 'name="password"' in page.text
    browser.submit(page, email=EMAIL, password=PASSWORD)
    assert browser.cookies[SESSION] != first


def test_signing_out_ends_the_session_in_the_store_too(parties: Parties, client_id: str) -> None:
    browser = Browser(parties)
    page = browser.sign_in(EMAIL, client_id)
    kept = browser.cookies[SESSION]
    forged = browser.post(start(client_id).replace("authorize", "sign-out"), form_token="x")
    assert forged.status_code == 303
    assert 'name="decision"' in browser.get(start(client_id)).text
    answer = browser.submit(page, 1)
    assert answer.headers["location"] == start(client_id)
    assert browser.cookies[SESSION] == ""
    again = Browser(parties, cookies={SESSION: kept})
    assert 'name="password"' in again.get(start(client_id)).text


def test_a_form_of_another_type_is_refused(parties: Parties, client_id: str) -> None:
    path = start(client_id).replace("authorize", "sign-in")
    answer = parties.api.anonymous().post(path, json={"email": EMAIL})
    assert answer.status_code == 415
