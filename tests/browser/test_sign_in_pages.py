"""Signing in and agreeing in a real browser: by keyboard, in both languages, with no internet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Response, expect

from app.accounts.oauth.wording import WORDS, Language
from tests.accounts.conftest import PASSWORD, Parties
from tests.accounts.oauth.browser import VERIFIER, asked_for, query_of
from tests.browser.conftest import picture
from tests.browser.landing import Landing
from tests.live import LiveServer

EMAIL = "li@example.cn"
STATE = "s t@te/+=&"
BOTH = pytest.mark.parametrize("locale", ["zh-CN", "en"])


@dataclass
class Visit:
    """A person's browser before the sign-in page of a client."""

    page: Page
    server: LiveServer
    landing: Landing
    client_id: str
    person_id: str
    language: Language

    @property
    def words(self) -> Any:
        return WORDS[self.language]

    def start(self, **changes: str | None) -> Response:
        fields = asked_for(self.client_id, **{"redirect_uri": self.landing.url, **changes})
        answer = self.page.goto(f"{self.server.url}/oauth/authorize?{urlencode(fields)}")
        assert answer is not None
        return answer

    def sign_in_by_keyboard(self, email: str = EMAIL, password: str = PASSWORD) -> Response:
        """Type into the fields in the order that Tab gives them, and press Enter."""
        expect(self.page.get_by_label(self.words["email_address"])).to_be_focused()
        self.page.keyboard.type(email)
        self.page.keyboard.press("Tab")
        return self.send_password_by_keyboard(password)

    def send_password_by_keyboard(self, password: str) -> Response:
        expect(self.page.get_by_label(self.words["password"])).to_be_focused()
        self.page.keyboard.type(password)
        with self.page.expect_navigation() as navigation:
            self.page.keyboard.press("Enter")
        return navigation.value

    def press_by_keyboard(self, word: str) -> None:
        """Tab to the button of that name, and press it."""
        button = self.page.get_by_role("button", name=self.words[word], exact=True)
        for _ in range(10):
            self.page.keyboard.press("Tab")
            if button.evaluate("one => one === document.activeElement"):
                break
        expect(button).to_be_focused()
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def arrived_with(self) -> dict[str, str]:
        """What the client was told, once."""
        assert self.page.url.startswith(self.landing.url + "&")
        (path,) = self.landing.arrivals
        return query_of(path)

    def looks_right(self, title: str) -> None:
        assert self.page.title() == f"{self.words[title]} · {self.words['product']}"
        assert self.page.locator("html").get_attribute("lang") == self.language
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.words[title])


@pytest.fixture
def visit(
    live: LiveServer, parties: Parties, page: Page, landing: Landing, locale: Language
) -> Visit:
    organisation_id = parties.organisation(name="重庆两江数据应用有限公司")
    person_id = parties.member(organisation_id, EMAIL)["id"]
    client = parties.client(
        organisation_id, name="数据门户 Portal", auth_method="none", redirect_uris=[landing.url]
    )
    return Visit(page, live, landing, client["client_id"], person_id, locale)


def policy_of(answer: Response) -> str:
    return answer.header_value("content-security-policy") or ""


@BOTH
def test_a_person_signs_in_and_agrees_by_keyboard_and_the_client_gets_a_token(
    visit: Visit, tmp_path: Path
) -> None:
    shown = visit.start()
    assert shown.status == 200
    visit.looks_right("sign_in_title")
    picture(visit.page, tmp_path, f"sign-in-{visit.language}")
    agreed = visit.sign_in_by_keyboard()
    assert agreed.status == 200
    visit.looks_right("consent_title")
    picture(visit.page, tmp_path, f"consent-{visit.language}")
    port = urlsplit(visit.landing.url).netloc
    for answer in (shown, agreed):
        assert "default-src 'none'" in policy_of(answer)
        assert f"form-action 'self' http://{port};" in policy_of(answer)
    main = visit.page.get_by_role("main")
    for text in ("数据门户 Portal", "重庆两江数据应用有限公司", "李四", port):
        expect(main).to_contain_text(text)
    scopes = main.get_by_role("list", name=visit.words["may"]).get_by_role("listitem")
    asked = ["listings:read", "data:read"]
    expect(scopes).to_have_text([f"{visit.words[scope]} {scope}" for scope in asked])
    visit.press_by_keyboard("allow")
    told = visit.arrived_with()
    assert set(told) == {"tenant", "code", "state", "iss"}
    assert (told["state"], told["iss"]) == (STATE, visit.server.url)
    assert person_behind(visit, told["code"]) == visit.person_id


def person_behind(visit: Visit, code: str) -> str:
    """The client's half: the code and the verifier for a token, and who it speaks for."""
    fields = {
        "grant_type": "authorization_code",
        "client_id": visit.client_id,
        "code": code,
        "redirect_uri": visit.landing.url,
        "code_verifier": VERIFIER,
    }
    wrong = httpx.post(
        f"{visit.server.url}/oauth/token", data={**fields, "code_verifier": "w" * 43}
    )
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    token = httpx.post(f"{visit.server.url}/oauth/token", data=fields)
    assert token.status_code == 200, token.text
    bearer = {"Authorization": f"Bearer {token.json()['access_token']}"}
    me = httpx.get(f"{visit.server.url}/api/v1/me", headers=bearer).json()
    assert me["scopes"] == ["listings:read", "data:read"]
    return str(me["id"])


@BOTH
def test_who_refuses_by_keyboard_sends_the_client_an_error_and_no_code(visit: Visit) -> None:
    visit.start()
    visit.sign_in_by_keyboard()
    visit.press_by_keyboard("deny")
    told = visit.arrived_with()
    assert set(told) - {"error_description"} == {"tenant", "error", "state", "iss"}
    assert told["error"] == "access_denied"
    assert (told["state"], told["iss"]) == (STATE, visit.server.url)


@BOTH
def test_a_wrong_password_reads_as_an_unknown_email_does_until_both_must_wait(
    visit: Visit, tmp_path: Path
) -> None:
    alert = visit.page.get_by_role("alert")
    texts = []
    for email in (EMAIL, "nobody@example.cn"):
        visit.start()
        answer = visit.sign_in_by_keyboard(email, "not the password")
        for _ in range(4):
            assert answer.status == 422
            expect(alert).to_have_text(visit.words["refused"])
            expect(visit.page.get_by_label(visit.words["email_address"])).to_have_value(email)
            expect(visit.page.get_by_label(visit.words["password"])).to_have_value("")
            answer = visit.send_password_by_keyboard("not the password")
        texts.append(visit.page.get_by_role("main").inner_text())
    assert texts[0] == texts[1]
    visit.looks_right("sign_in_title")
    picture(visit.page, tmp_path, f"refused-{visit.language}")
    waiting = visit.send_password_by_keyboard("not the password")
    assert (waiting.status, waiting.header_value("retry-after")) == (429, "30")
    wait = visit.words["seconds"].format(count=30)
    expect(alert).to_have_text(visit.words["too_many"].format(wait=wait))
    picture(visit.page, tmp_path, f"waiting-{visit.language}")
    assert visit.landing.arrivals == []


def test_another_account_can_be_used_on_the_same_computer(visit: Visit, parties: Parties) -> None:
    visit.start()
    visit.sign_in_by_keyboard()
    visit.press_by_keyboard("other_account")
    visit.looks_right("sign_in_title")
    visit.sign_in_by_keyboard()
    visit.looks_right("consent_title")
    assert visit.landing.arrivals == []


@BOTH
def test_a_request_that_cannot_be_trusted_leads_nowhere(visit: Visit, tmp_path: Path) -> None:
    answer = visit.start(redirect_uri="https://evil.example/")
    assert answer.status == 400
    visit.looks_right("failed_title")
    expect(visit.page.get_by_role("alert")).to_have_text(visit.words["failed_request"])
    assert visit.page.locator("form").count() == 0
    assert answer.header_value("x-request-id") in visit.page.get_by_role("main").inner_text()
    picture(visit.page, tmp_path, f"failed-{visit.language}")
