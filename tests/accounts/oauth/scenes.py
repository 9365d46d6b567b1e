"""A scene of the OAuth tests: an organisation with a person and clients that act for them."""

from __future__ import annotations

from typing import Any

from httpx import Response

from tests.accounts.conftest import Parties
from tests.accounts.oauth.browser import REDIRECT, Browser, exchange, refresh, send_form
from tests.accounts.oauth.test_client_credentials import basic
from tests.conftest import Caller

EMAIL = "li@example.cn"
ISSUER = "http://127.0.0.1:8000"
OFFLINE = "offline_access listings:read data:read"


class Scene:
    """An organisation with a person, a client with a secret and one without."""

    def __init__(self, parties: Parties, role: str = "owner") -> None:
        self.parties = parties
        self.organisation_id = parties.organisation()
        self.person_id = parties.member(self.organisation_id, EMAIL, role)["id"]
        secret = parties.client(self.organisation_id, name="Portal", redirect_uris=[REDIRECT])
        self.client_id = str(secret["client_id"])
        self.auth = basic(self.client_id, secret["client_secret"])
        public = parties.client(
            self.organisation_id, name="App", auth_method="none", redirect_uris=[REDIRECT]
        )
        self.public_id = str(public["client_id"])
        self.browser = Browser(parties)

    def own(self) -> Caller:
        """The organisation by a program of its own."""
        return self.parties.own(self.organisation_id)

    def delegated(self, scope: str = OFFLINE) -> dict[str, Any]:
        """What the client with a secret gets by a fresh consent of the person."""
        code = Browser(self.parties).code(EMAIL, self.client_id, scope=scope)
        answer = exchange(self.parties, code, self.auth)
        assert answer.status_code == 200, answer.text
        given: dict[str, Any] = answer.json()
        return given

    def refresh(self, token: str, **fields: str) -> Response:
        return refresh(self.parties, token, self.auth, **fields)

    def introspect(self, token: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        body = self.form("/oauth/introspect", headers, token=token)
        assert body.status_code == 200, body.text
        facts: dict[str, Any] = body.json()
        return facts

    def form(self, path: str, headers: dict[str, str] | None = None, **body: str) -> Response:
        """A form of the client with a secret, or of whoever `headers` name."""
        return send_form(self.parties, path, self.auth if headers is None else headers, **body)

    def holds(self, token: str) -> bool:
        """Whether the access token opens anything."""
        status = self.parties.api.with_token(token).get("/api/v1/me").status_code
        assert status in {200, 401}
        return status == 200
