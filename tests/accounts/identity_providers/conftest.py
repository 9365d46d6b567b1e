"""The scene: an organisation whose people sign in at their own company's provider."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from httpx import Response

from app.db.installation import Installation
from app.kernel.clock import SetClock, epoch_us
from tests.accounts.conftest import Parties
from tests.accounts.identity_providers.company import CLIENT_ID, SECRET, Company
from tests.accounts.oauth.browser import REDIRECT, Browser, asked_for, exchange
from tests.conftest import Caller

DOMAIN = "corp.example"
BUYERS = {"value": "zhigu-buyers", "role": "purchaser"}
OWNERS = {"value": "zhigu-owners", "role": "owner"}


@pytest.fixture
def company(clock: SetClock) -> Iterator[Company]:
    with Company() as running:
        running.now_s = lambda: epoch_us(clock.now()) // 1_000_000
        yield running


@pytest.fixture
def installation(installation: Installation, company: Company) -> Installation:
    """The installation, whose operator allows the double on loopback."""
    allowed = (f"127.0.0.1/32:{company.port}",)
    settings = msgspec.structs.replace(installation.settings, upstream_allow=allowed)
    return dataclasses.replace(installation, settings=settings)


@dataclass
class Firm:
    """An organisation with its provider, and a program that its people sign in to."""

    parties: Parties
    company: Company
    organisation_id: str
    client_id: str
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = Browser(self.parties)

    @property
    def path(self) -> str:
        return f"/api/v1/organisations/{self.organisation_id}/identity-provider"

    def own(self) -> Caller:
        return self.parties.own(self.organisation_id)

    def wish(self, **changes: Any) -> dict[str, Any]:
        body = {
            "issuer": self.company.issuer,
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "domains": [DOMAIN],
            "role_claim": "groups",
            "roles": [OWNERS, BUYERS],
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def put(self, **changes: Any) -> Response:
        return self.own().put(self.path, json=self.wish(**changes))

    def attach(self, **changes: Any) -> dict[str, Any]:
        answer = self.put(**changes)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def confirm(self, domain: str = DOMAIN) -> Response:
        path = f"{self.path}/domains/{domain}/confirm"
        return self.parties.admin().post(path, json={"evidence": "TXT record seen."})

    def start(self, email: str = f"wang@{DOMAIN}") -> Response:
        """From the client's request to where the company's sign-in is."""
        query = urlencode(asked_for(self.client_id))
        page = self.browser.get(f"/oauth/company?{query}")
        assert page.status_code == 200, page.text
        return self.browser.submit(page, email=email)

    def where(self) -> str:
        page = self.start()
        assert page.status_code == 200, page.text
        return unescape(re.findall(r'<a href="([^"]*)"', page.text)[0])

    def come_back(self, **changes: str | None) -> Response:
        """The whole way there, a sign-in, and back with its answer, changed."""
        return self.bring(self.company.answer_of(self.where(), **changes))

    def bring(self, answer: dict[str, str]) -> Response:
        return self.browser.get(f"/oauth/company/callback?{urlencode(answer)}")

    def arrive(self) -> dict[str, Any]:
        """Who it is that has come, in the end, with a token of theirs."""
        answer = self.come_back()
        assert answer.status_code == 303, answer.text
        consent = self.browser.get(answer.headers["location"])
        done = self.browser.submit(consent, decision="allow")
        code = done.headers["location"].partition("code=")[2].partition("&")[0]
        token = exchange(self.parties, code, {}, client_id=self.client_id).json()
        me: dict[str, Any] = (
            self.parties.api.with_token(token["access_token"]).get("/api/v1/me").json()
        )
        return {**me, "token": token["access_token"]}


def firm_of(parties: Parties, company: Company) -> Firm:
    organisation_id = parties.organisation()
    made = parties.client(
        organisation_id, name="Portal", auth_method="none", redirect_uris=[REDIRECT]
    )
    return Firm(parties, company, organisation_id, str(made["client_id"]))


@pytest.fixture
def bare_firm(parties: Parties, company: Company) -> Firm:
    """The organisation before it has attached anything."""
    return firm_of(parties, company)


@pytest.fixture
def firm(bare_firm: Firm) -> Firm:
    """The organisation with its provider attached and its domain confirmed."""
    bare_firm.attach()
    assert bare_firm.confirm().status_code == 200
    return bare_firm
