"""Signing in with one's company in a real browser: there and back, in both languages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, Route, expect

from app.accounts.oauth.wording import Language
from app.db.installation import Installation
from app.kernel.clock import SetClock, epoch_us
from tests.accounts.conftest import Parties
from tests.accounts.identity_providers.company import Company
from tests.accounts.identity_providers.conftest import DOMAIN, Firm
from tests.browser.conftest import picture
from tests.browser.landing import Landing
from tests.browser.test_sign_in_pages import BOTH, Visit, person_behind
from tests.live import LiveServer

EMAIL = f"wang@{DOMAIN}"


@pytest.fixture
def company(clock: SetClock) -> Iterator[Company]:
    with Company() as running:
        running.now_s = lambda: epoch_us(clock.now()) // 1_000_000
        yield running


@pytest.fixture
def installation(installation: Installation, company: Company) -> Installation:
    allowed = (f"127.0.0.1/32:{company.port}",)
    settings = msgspec.structs.replace(installation.settings, upstream_allow=allowed)
    return dataclasses.replace(installation, settings=settings)


@pytest.fixture
def visit(
    live: LiveServer,
    parties: Parties,
    page: Page,
    landing: Landing,
    locale: Language,
) -> Visit:
    organisation_id = parties.organisation(name="重庆两江数据应用有限公司")
    client = parties.client(
        organisation_id, name="数据门户 Portal", auth_method="none", redirect_uris=[landing.url]
    )
    return Visit(page, live, landing, client["client_id"], organisation_id, locale)


@pytest.fixture
def attach(visit: Visit, parties: Parties, company: Company) -> Callable[[], None]:
    firm = Firm(parties, company, visit.person_id, visit.client_id)

    def attached() -> None:
        firm.attach()
        assert firm.confirm().status_code == 200

    return attached


def type_email(visit: Visit, email: str = EMAIL) -> None:
    expect(visit.page.get_by_label(visit.words["email_address"])).to_be_focused()
    visit.page.keyboard.type(email)
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")


def follow_by_keyboard(visit: Visit, word: str) -> None:
    link = visit.page.get_by_role("link", name=visit.words[word], exact=True)
    for _ in range(10):
        visit.page.keyboard.press("Tab")
        if link.evaluate("one => one === document.activeElement"):
            break
    expect(link).to_be_focused()
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")


def go_to_company(visit: Visit) -> None:
    """From the client's request to the company's own page."""
    visit.start()
    follow_by_keyboard(visit, "company")
    visit.looks_right("company_title")
    type_email(visit)
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Corp sign-in")
    expect(visit.page.get_by_text(EMAIL)).to_be_visible()


@BOTH
def test_a_person_signs_in_with_their_company_by_keyboard_and_the_client_gets_a_token(
    visit: Visit, attach: Callable[[], None], tmp_path: Path
) -> None:
    attach()
    visit.start()
    picture(visit.page, tmp_path, f"sign-in-{visit.language}")
    follow_by_keyboard(visit, "company")
    picture(visit.page, tmp_path, f"company-{visit.language}")
    go_to_company(visit)
    with visit.page.expect_navigation():
        visit.page.get_by_role("link").press("Enter")
    visit.looks_right("consent_title")
    expect(visit.page.get_by_role("main")).to_contain_text("王五 · 重庆两江数据应用有限公司")
    visit.press_by_keyboard("allow")
    told = visit.arrived_with()
    assert person_behind(visit, told["code"]).startswith("usr_")


@BOTH
def test_a_domain_that_leads_nowhere_is_said_to_and_the_password_is_one_step_away(
    visit: Visit, tmp_path: Path
) -> None:
    visit.start()
    follow_by_keyboard(visit, "company")
    type_email(visit)
    expect(visit.page.get_by_role("alert")).to_have_text(visit.words["company_unknown"])
    picture(visit.page, tmp_path, f"company-unknown-{visit.language}")
    follow_by_keyboard(visit, "with_password")
    visit.looks_right("sign_in_title")


@BOTH
def test_who_is_not_let_in_is_told_so_plainly_and_may_begin_again(
    visit: Visit, attach: Callable[[], None], company: Company, tmp_path: Path
) -> None:
    attach()
    lies = {"company_no_role": {"groups": []}, "company_refused": {"email_verified": False}}
    for word, claims in lies.items():
        company.claims |= claims
        go_to_company(visit)
        with visit.page.expect_navigation():
            visit.page.get_by_role("link").press("Enter")
        visit.looks_right("company_failed_title")
        expect(visit.page.get_by_role("alert")).to_have_text(visit.words[word])
        picture(visit.page, tmp_path, f"{word}-{visit.language}")
        company.claims["groups"] = ["zhigu-buyers"]
    follow_by_keyboard(visit, "try_again")
    visit.looks_right("company_title")


@BOTH
def test_a_browser_that_goes_nowhere_by_itself_shows_where_the_way_leads(
    visit: Visit, attach: Callable[[], None], company: Company, tmp_path: Path
) -> None:
    attach()

    def stay(route: Route) -> None:
        answer = route.fetch()
        assert answer.headers.pop("refresh").startswith("0; url=")
        kept = {name: value for name, value in answer.headers.items() if name != "refresh"}
        route.fulfill(response=answer, headers=kept)

    visit.start()
    follow_by_keyboard(visit, "company")
    visit.page.route("**/oauth/company?*", stay)
    type_email(visit)
    visit.looks_right("company_going_title")
    expect(visit.page.get_by_role("link")).to_have_text(f"127.0.0.1:{company.port}")
    picture(visit.page, tmp_path, f"going-{visit.language}")
    expect(visit.page.get_by_role("link")).to_be_focused()
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Corp sign-in")
