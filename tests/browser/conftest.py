"""A real Chromium, headless, that can reach nothing but this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from app.accounts.bootstrapping import ensure_operator
from app.accounts.models import Client
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.conftest import Operator, Parties
from tests.browser.landing import Landing
from tests.conftest import Api

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
# A page that says no is still a page: what Chromium notes is its status, which tests look at.
STATUS_NOTE = "Failed to load resource: the server responded with a status of 4"


# Closed with its module: an open Playwright leaves an event loop running in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def locale() -> str:
    """The language that the browser asks for; a test may name another by parametrizing it."""
    return "zh-CN"


@pytest.fixture
def page(browser: Browser, locale: str) -> Iterator[Page]:
    """A page of its own profile.

    A request that fails or leaves this machine, a script error, or an error in the console (a
    broken content security policy is one) fails the test.
    """
    context = browser.new_context(locale=locale)
    opened = context.new_page()
    wrong: list[str] = []

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(STATUS_NOTE):
            wrong.append(message.text)

    def note_address(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "data" and parts.hostname != "127.0.0.1":
            wrong.append(f"left this machine: {url}")

    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", note_console)
    opened.on("request", lambda request: note_address(request.url))
    opened.on("requestfailed", lambda request: wrong.append(f"{request.url}: {request.failure}"))
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture
def landing() -> Iterator[Landing]:
    """The client's own page, to which a person returns."""
    with Landing() as running:
        yield running


@pytest.fixture
def parties(installation: Installation, api: Api) -> Parties:
    with installation.transaction(OPERATOR) as session:
        client_id, secret = ensure_operator(session)
        organisation_id = session.get_one(Client, client_id).organisation_id
    return Parties(api, Operator(organisation_id, client_id, secret or ""))


def picture(page: Page, folder: Path, name: str) -> None:
    """Show that the page fits a desktop and a phone, and keep how it looks on both."""
    for width, (across, down) in WIDTHS.items():
        page.set_viewport_size({"width": across, "height": down})
        page.screenshot(path=str(folder / f"{name}-{width}.png"), full_page=True)
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(fits), f"{name} does not fit a {width}"
