"""A person's browser and a client's half of the code flow, for tests: over HTTP, nothing inside."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from httpx import Response

from tests.accounts.conftest import PASSWORD, Parties

REDIRECT = "https://app.example/cb?tenant=1"
VERIFIER = "v" * 43
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def asked_for(client_id: str, /, **changes: str | None) -> dict[str, str]:
    """The parameters of an authorization request; a change to None leaves one out."""
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "scope": "listings:read data:read",
        "state": "s t@te/+=&",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def query_of(location: str) -> dict[str, str]:
    pairs = parse_qs(urlsplit(location).query, strict_parsing=True)
    assert all(len(values) == 1 for values in pairs.values()), location
    return {name: values[0] for name, values in pairs.items()}


@dataclass
class Browser:
    """Keeps cookies, fills in forms, and stops at every redirect."""

    parties: Parties
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "en"

    def get(self, path: str) -> Response:
        return self._request("GET", path)

    def post(self, path: str, **fields: str) -> Response:
        return self._request("POST", path, content=urlencode(fields), headers=FORM)

    def submit(self, page: Response, number: int = 0, **fields: str) -> Response:
        """Send the page's form of that number, hidden fields and all."""
        forms = re.findall(r"<form.*?</form>", page.text, re.DOTALL)
        action = unescape(re.findall(r'action="([^"]*)"', forms[number])[0])
        hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', forms[number])
        return self.post(action, **dict(hidden), **fields)

    def sign_in(self, email: str, client_id: str, **changes: str | None) -> Response:
        """From the client's request to the consent page."""
        page = self.get("/oauth/authorize?" + urlencode(asked_for(client_id, **changes)))
        assert page.status_code == 200, page.text
        answer = self.submit(page, email=email, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return self.get(answer.headers["location"])

    def try_password(self, email: str, client_id: str, password: str) -> Response:
        """What the sign-in page answers to this password."""
        page = self.get("/oauth/authorize?" + urlencode(asked_for(client_id)))
        return self.submit(page, email=email, password=password)

    def code(self, email: str, client_id: str, **changes: str | None) -> str:
        """The code that the client gets in the end."""
        page = self.sign_in(email, client_id, **changes)
        answer = self.submit(page, decision="allow")
        assert answer.status_code == 303, answer.text
        return query_of(answer.headers["location"])["code"]

    def _request(self, method: str, path: str, **options: Any) -> Response:
        self.parties.api.forget_cookies()
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Accept-Language": self.language, **options.pop("headers", {})}
        if cookies:
            headers["Cookie"] = cookies
        answer = self.parties.api.anonymous().request(
            method, path, headers=headers, follow_redirects=False, **options
        )
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0].strip('"')
        return answer


def exchange(parties: Parties, code: str, headers: dict[str, str], /, **fields: str) -> Response:
    """The client's half: a code for a token."""
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **fields,
    }
    return send_form(parties, "/oauth/token", headers, **body)


def refresh(parties: Parties, token: str, headers: dict[str, str], /, **fields: str) -> Response:
    """The client's half, later on: a refresh token for a fresh access token."""
    body = {"grant_type": "refresh_token", "refresh_token": token, **fields}
    return send_form(parties, "/oauth/token", headers, **body)


def send_form(parties: Parties, path: str, headers: dict[str, str], /, **body: str) -> Response:
    """A client's form, without the fields that are empty."""
    content = urlencode({name: value for name, value in body.items() if value})
    return parties.api.anonymous().post(path, content=content, headers={**FORM, **headers})
