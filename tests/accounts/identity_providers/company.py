"""A company's OpenID provider on loopback, over real HTTP: it can lie in every way that we refuse.

Written from OpenID Connect Core and Discovery alone, with none of our code; only signatures are
made by a library.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

CLIENT_ID = "zhigu"
SECRET = "s3cret:of/the company"
_KINDS: dict[str, Callable[[], Any]] = {
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "RS256": lambda: RSAKey.generate_key(2048),
}
Claims = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def plain_token(header: Claims, claims: Claims, sign: Callable[[bytes], bytes]) -> str:
    """A JWT put together by hand, for what a library refuses to make."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


class Company:
    """The provider: who signs in is `claims`; what is set below makes it behave otherwise."""

    def __init__(self) -> None:
        self.claims: Claims = {
            "sub": "emp-1",
            "email": "wang@corp.example",
            "email_verified": True,
            "name": "王五",
            "groups": ["staff", "zhigu-buyers"],
        }
        self.announced: Claims = {}
        self.make_token: Callable[[Claims], str] = self.signed
        self.change: Callable[[Claims], object] = lambda claims: None
        self.respond: dict[str, Callable[[], tuple[int, dict[str, str], bytes]]] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.now_s: Callable[[], int] = lambda: int(time.time())
        self.new_keys("ES256")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port = self._server.server_port
        self.issuer = f"http://127.0.0.1:{self.port}"

    def new_keys(self, algorithm: str) -> None:
        """Other keys than before, which the provider forgets."""
        self.algorithm = algorithm
        kind = "RS256" if algorithm == "PS256" else algorithm.replace("EdDSA", "Ed25519")
        self.key = _KINDS[kind]()
        self.kid = secrets.token_hex(4)

    @property
    def key_set(self) -> Claims:
        return {"keys": [{**self.key.as_dict(private=False), "kid": self.kid, "use": "sig"}]}

    def configuration(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": [self.algorithm, "none", "HS256"],
            "response_types_supported": ["code", "id_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "authorization_response_iss_parameter_supported": True,
            **self.announced,
        }

    def signed(self, claims: Claims) -> str:
        header = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"}
        body = json.dumps(claims).encode()
        return str(jws.serialize_compact(header, body, self.key, algorithms=[self.algorithm]))

    def signed_without_name(self, claims: Claims) -> str:
        body = json.dumps(claims).encode()
        header = {"alg": self.algorithm}
        return str(jws.serialize_compact(header, body, self.key, algorithms=[self.algorithm]))

    def answer_of(self, where: str, **changes: str | None) -> dict[str, str]:
        """What a browser brings back once somebody signed in at `where`."""
        asked = asked_in(where)
        code = secrets.token_urlsafe(24)
        self.codes[code] = asked
        answer: dict[str, str | None] = {
            "code": code,
            "state": asked["state"],
            "iss": self.issuer,
            **changes,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def token_for(self, form: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """The token endpoint's answer (RFC 6749 §4.1.3, RFC 7636 §4.6)."""
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = b64(hashlib.sha256(verifier.encode()).digest())
        good = asked is not None and asked["code_challenge"] == challenge
        if asked is None or not good or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {}, b'{"error": "invalid_grant"}'
        now_s = self.now_s()
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": asked["nonce"],
            **self.claims,
        }
        self.change(claims)
        told = {
            "access_token": "unused",
            "token_type": "Bearer",
            "id_token": self.make_token(claims),
        }
        return 200, {}, json.dumps(told).encode()

    def __enter__(self) -> Company:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Be away."""
        self._server.shutdown()
        self._server.server_close()


def asked_in(path: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}


def _page(company: Company, path: str) -> bytes:
    """Where somebody says that it is them."""
    asked = asked_in(path)
    back = f"{asked['redirect_uri']}?{urlencode(company.answer_of(path))}"
    page = f"""<!doctype html><html lang="en"><title>Corp</title>
        <link rel="icon" href="data:,"><h1>Corp sign-in</h1>
        <p>{escape(asked["login_hint"])}</p><a href="{escape(back)}">Yes, it is me</a>"""
    return page.encode()


def _got(company: Company, path: str) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(path).path
    if place in company.respond:
        return company.respond[place]()
    if place == "/authorize":
        return 200, {"Content-Type": "text/html; charset=utf-8"}, _page(company, path)
    if place == "/keys":
        return 200, {}, json.dumps(company.key_set).encode()
    known = place == "/.well-known/openid-configuration"
    return (200, {}, json.dumps(company.configuration()).encode()) if known else (404, {}, b"")


def _handler(company: Company) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*_got(company, self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            company.asked.append((self.path, dict(self.headers), form))
            respond = company.respond.get("/token", lambda: company.token_for(form))
            self._answer(*respond())

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # whoever asked has hung up
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing: pytest's output is for tests."""

    return Handler
