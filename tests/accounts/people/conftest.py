"""A person with a browser and a client's token, for the tests of people's own doors."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from httpx import Response

from tests.accounts.conftest import PASSWORD, Parties
from tests.accounts.oauth.browser import REDIRECT, Browser, exchange
from tests.conftest import Caller

EMAIL = "li@example.cn"
OTHER = "staple of a longer sort"


@dataclass
class Someone:
    """A member of an organisation, and the program that they sign in to."""

    parties: Parties
    organisation_id: str
    person_id: str
    client_id: str
    email: str = EMAIL

    def token(self, scope: str = "listings:read data:read") -> str:
        """A fresh access token of the person's, by a browser of its own."""
        code = Browser(self.parties).code(self.email, self.client_id, scope=scope)
        answer = exchange(self.parties, code, {}, client_id=self.client_id)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def caller(self, scope: str = "listings:read data:read") -> Caller:
        return self.parties.api.with_token(self.token(scope))

    def signs_in(self, password: str = PASSWORD) -> Response:
        """The answer to one try on the sign-in page."""
        return Browser(self.parties).try_password(self.email, self.client_id, password)

    def path(self, rest: str) -> str:
        return f"/api/v1/organisations/{self.organisation_id}/members/{self.person_id}/{rest}"


@pytest.fixture
def someone(parties: Parties) -> Someone:
    organisation_id = parties.organisation()
    person_id = str(parties.member(organisation_id, EMAIL)["id"])
    made = parties.client(
        organisation_id, name="Portal", auth_method="none", redirect_uris=[REDIRECT]
    )
    return Someone(parties, organisation_id, person_id, str(made["client_id"]))
