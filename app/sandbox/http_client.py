"""A small HTTP client for the demo: JSON in and out, one bearer token, problems as exceptions."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30
WAIT_S = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers with lower-case names, and the raw body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Refused(Exception):
    """The server answered with a problem; `answer` is the whole of it."""

    def __init__(self, method: str, path: str, answer: Answer) -> None:
        text = answer.body.decode("utf-8", "replace")
        super().__init__(f"{method} {path} → {answer.status}: {text[:1000]}")
        self.answer = answer


class Client:
    """Calls one server under one OAuth client; fetches its token and renews it when it is 401."""

    def __init__(
        self, base_url: str, client_id: str = "", secret: str = "", scope: str = ""
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._client_id = client_id
        self._secret = secret
        self._scope = scope
        self._token: str | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        refusals: bool = False,
    ) -> Answer:
        """One request; bytes are sent as they are, anything else as JSON.

        A refusal is raised as `Refused`, or returned when `refusals` are expected.
        """
        sent = {**self._authorization(), **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        answer = send(method, self.base_url + path, body, sent)
        if answer.status == 401 and self._token is not None:
            self._token = None
            return self.call(method, path, body, headers=headers, refusals=refusals)
        if answer.status >= 400 and not refusals:
            raise Refused(method, path, answer)
        return answer

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        return self.call("GET", path).json()

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON that a POST answers."""
        return self.call("POST", path, {} if body is None else body, headers=headers).json()

    def fresh_token(self) -> str:
        """A new access token of this client."""
        return fetch_token(self.base_url, self._client_id, self._secret, self._scope)

    def _authorization(self) -> dict[str, str]:
        if not self._client_id:
            return {}
        if self._token is None:
            self._token = self.fresh_token()
        return {"Authorization": f"Bearer {self._token}"}


def fetch_token(base_url: str, client_id: str, secret: str, scope: str) -> str:
    """An access token by client credentials (RFC 6749 §4.4)."""
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    pair = ":".join(urllib.parse.quote_plus(part) for part in (client_id, secret))
    headers = {
        "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = send("POST", f"{base_url}/oauth/token", urllib.parse.urlencode(form).encode(), headers)
    if answer.status != 200:
        raise Refused("POST", "/oauth/token", answer)
    return str(answer.json()["access_token"])


def send(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One HTTP request, whatever it is answered with; raises `OSError` when nobody answers."""
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers))  # noqa: S310 - http only, to our own server
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return Answer(response.status, _lower(response.headers), response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, _lower(error.headers), error.read())


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def until(what: str, look: Callable[[], Any]) -> Any:
    """What `look` finds once it finds something; `TimeoutError` naming what did not happen."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"it did not happen that {what}")
