"""A client proves itself by its own key (RFC 7523), and the ways to abuse that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from httpx import Response

from app.kernel.clock import SetClock, epoch_us
from tests.accounts.conftest import Parties
from tests.accounts.oauth.browser import REDIRECT, Browser, exchange, refresh, send_form
from tests.accounts.oauth.scenes import EMAIL, ISSUER, OFFLINE
from tests.accounts.oauth.signers import ASSERTION_TYPE, Signer, b64
from tests.accounts.oauth.test_client_credentials import basic, is_refused

TOKEN_ENDPOINT = f"{ISSUER}/oauth/token"


class Program:
    """A client with a key of its own."""

    def __init__(self, parties: Parties, clock: SetClock, algorithm: str = "ES256") -> None:
        self.parties, self.clock = parties, clock
        self.signer = Signer(algorithm)
        self.organisation_id = parties.organisation()
        self.id = str(self.enrol(jwks={"keys": [self.signer.jwk]})["client_id"])

    def enrol(self, **changes: Any) -> dict[str, Any]:
        wish = {"auth_method": "private_key_jwt", "redirect_uris": [REDIRECT], **changes}
        return self.parties.client(self.organisation_id, **wish)

    @property
    def now_s(self) -> int:
        return epoch_us(self.clock.now()) // 1_000_000

    def assertion(self, **changes: Any) -> str:
        audience = changes.pop("aud", ISSUER)
        return self.signer.assertion(self.id, audience, self.now_s, **changes)

    def proof(self, **changes: Any) -> dict[str, str]:
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(**changes),
        }

    def ask(self, **fields: str) -> Response:
        body = {"grant_type": "client_credentials", "scope": "data:read", **fields}
        return send_form(self.parties, "/oauth/token", {}, **body)


@pytest.fixture
def program(parties: Parties, clock: SetClock) -> Program:
    return Program(parties, clock)


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA", "ES256", "PS256"])
def test_a_client_proves_itself_by_a_key_of_each_kind(
    parties: Parties, clock: SetClock, algorithm: str
) -> None:
    program = Program(parties, clock, algorithm)
    for audience in (ISSUER, TOKEN_ENDPOINT, [ISSUER]):
        answer = program.ask(**program.proof(aud=audience))
        assert answer.status_code == 200, answer.text
    me = parties.api.with_token(answer.json()["access_token"]).get("/api/v1/me").json()
    assert me["client_id"] == program.id


def test_it_serves_at_every_endpoint_and_for_every_grant(program: Program) -> None:
    parties = program.parties
    parties.member(program.organisation_id, EMAIL)
    code = Browser(parties).code(EMAIL, program.id, scope=OFFLINE)
    given = exchange(parties, code, {}, **program.proof()).json()
    again = refresh(parties, given["refresh_token"], {}, **program.proof()).json()
    token = again["access_token"]
    endpoint = f"{ISSUER}/oauth/introspect"
    facts = send_form(parties, "/oauth/introspect", {}, token=token, **program.proof(aud=endpoint))
    assert facts.json()["active"]
    answer = send_form(parties, "/oauth/revoke", {}, token=token, **program.proof())
    assert answer.status_code == 200
    facts = send_form(parties, "/oauth/introspect", {}, token=token, **program.proof())
    assert facts.json() == {"active": False}


def test_an_assertion_is_good_once_even_if_its_request_was_refused(program: Program) -> None:
    proof = program.proof()
    assert program.ask(**proof).status_code == 200
    is_refused(program.ask(**proof), "invalid_client", 401)
    proof = program.proof()
    is_refused(program.ask(**proof, scope="admin"), "invalid_scope", 400)
    is_refused(program.ask(**proof), "invalid_client", 401)
    assert program.ask(**program.proof(jti="x")).status_code == 200
    other = Program(program.parties, program.clock)
    assert other.ask(**other.proof(jti="x")).status_code == 200, "another client's own name"


CLAIMS: dict[str, Callable[[Program], dict[str, Any]]] = {
    "another issuer": lambda p: {"iss": "cli_x"},
    "no issuer": lambda p: {"iss": None},
    "another subject": lambda p: {"sub": p.enrol(jwks={"keys": [p.signer.jwk]})["client_id"]},
    "no subject": lambda p: {"sub": None},
    "another audience": lambda p: {"aud": "https://evil.example"},
    "a resource as audience": lambda p: {"aud": f"{ISSUER}/data"},
    "the issuer with a slash": lambda p: {"aud": f"{ISSUER}/"},
    "two audiences": lambda p: {"aud": [ISSUER, "https://evil.example"]},
    "no audience": lambda p: {"aud": None},
    "no exp": lambda p: {"exp": None},
    "a lapsed exp": lambda p: {"exp": p.now_s - 60},
    "an exp of an hour": lambda p: {"exp": p.now_s + 3600},
    "exp as text": lambda p: {"exp": str(p.now_s + 60)},
    "exp true": lambda p: {"exp": True},
    "iat in the future": lambda p: {"iat": p.now_s + 120},
    "nbf in the future": lambda p: {"nbf": p.now_s + 120},
    "no jti": lambda p: {"jti": None},
    "a long jti": lambda p: {"jti": "x" * 257},
}
HEADERS: dict[str, dict[str, Any]] = {
    "alg none": {"alg": "none"},
    "alg HS256": {"alg": "HS256"},
    "alg RS256": {"alg": "RS256"},
    "alg of another kind of key": {"alg": "Ed25519"},
    "no alg": {"alg": None},
    "another kid": {"kid": "k2"},
    "kid a path": {"kid": "../../dev/null"},
    "typ of an access token": {"typ": "at+jwt"},
    "typ of a proof": {"typ": "dpop+jwt"},
    "crit": {"crit": ["exp"]},
    "b64": {"b64": False},
    "jku": {"jku": "https://evil.example/jwks"},
    "x5u": {"x5u": "https://evil.example/x"},
    "x5c": {"x5c": ["MII"]},
    "jwk": {"jwk": Signer("ES256").jwk},
    "zip": {"zip": "DEF"},
}


@pytest.mark.parametrize("name", CLAIMS)
def test_an_assertion_that_says_anything_else_is_refused(program: Program, name: str) -> None:
    is_refused(program.ask(**program.proof(**CLAIMS[name](program))), "invalid_client", 401)
    assert program.ask(**program.proof()).status_code == 200


@pytest.mark.parametrize("name", HEADERS)
def test_an_assertion_with_another_header_is_refused(program: Program, name: str) -> None:
    is_refused(program.ask(**program.proof(header=HEADERS[name])), "invalid_client", 401)
    assert program.ask(**program.proof()).status_code == 200


def test_an_assertion_by_nobodys_key_is_refused(program: Program) -> None:
    good = program.assertion()
    stranger = Signer("ES256")
    header, claims, signature = good.split(".")
    for text in (
        stranger.assertion(program.id, ISSUER, program.now_s),
        f"{header}.{claims}.",
        f"{header}.{claims}.{b64(bytes(64))}",
        f"{header}.{claims}.{signature}==",
        f"{header}.{claims}",
        f"{header}.{claims}.{signature}.x",
        "x" * 9000,
        "a.b.c",
    ):
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
        is_refused(program.ask(**proof), "invalid_client", 401)
    assert (
        program.ask(client_assertion_type=ASSERTION_TYPE, client_assertion=good).status_code == 200
    )


def test_a_client_proves_itself_in_its_own_way_only(program: Program, parties: Parties) -> None:
    secret = parties.client(program.organisation_id)
    auth = basic(secret["client_id"], secret["client_secret"])
    both = send_form(
        parties, "/oauth/token", auth, grant_type="client_credentials", **program.proof()
    )
    is_refused(both, "invalid_client", 401)
    forged = program.signer.assertion(secret["client_id"], ISSUER, program.now_s)
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": forged}
    is_refused(program.ask(**proof), "invalid_client", 401)
    is_refused(program.ask(client_id=program.id), "invalid_client", 401)
    mixed = program.ask(**program.proof(), client_id=secret["client_id"])
    is_refused(mixed, "invalid_client", 401)
    typed = {**program.proof(), "client_assertion_type": "urn:x"}
    is_refused(program.ask(**typed), "invalid_client", 401)
    assert program.ask(**program.proof(), client_id=program.id).status_code == 200


def test_of_several_keys_each_proves_under_its_own_name(program: Program) -> None:
    second = Signer("Ed25519", kid="k2")
    program.id = program.enrol(jwks={"keys": [program.signer.jwk, second.jwk]})["client_id"]
    for signer in (program.signer, second):
        program.signer = signer
        assert program.ask(**program.proof()).status_code == 200
    is_refused(program.ask(**program.proof(header={"kid": "k1"})), "invalid_client", 401)
    is_refused(program.ask(**program.proof(header={"kid": None})), "invalid_client", 401)


def test_a_single_key_needs_no_name(program: Program) -> None:
    program.signer = Signer("PS256", kid=None)
    program.id = program.enrol(jwks={"keys": [program.signer.jwk]})["client_id"]
    assert program.ask(**program.proof()).status_code == 200


GOOD = Signer("ES256").jwk
BAD_KEYS: dict[str, Any] = {
    "no keys": {"keys": []},
    "no member": {},
    "another member": {"keys": [GOOD], "x": 1},
    "a list": {"keys": {}},
    "eleven": {"keys": [{**GOOD, "kid": str(n)} for n in range(11)]},
    "the same name twice": {"keys": [GOOD, GOOD]},
    "one without a name": {"keys": [GOOD, Signer("ES256", kid=None).jwk]},
    "a private key": {"keys": [{**GOOD, "d": "AA"}]},
    "a shared key": {"keys": [{"kty": "oct", "k": "AA"}]},
    "for encryption": {"keys": [{**GOOD, "use": "enc"}]},
    "for signing": {"keys": [{**GOOD, "key_ops": ["sign"]}]},
    "another algorithm": {"keys": [{**GOOD, "alg": "RS256"}]},
    "another curve": {"keys": [{**GOOD, "crv": "P-384"}]},
    "a point off the curve": {"keys": [{**GOOD, "y": GOOD["x"]}]},
    "a weak Ed25519 key": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}]},
    "a short RSA key": {"keys": [{"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}]},
    "an even exponent": {"keys": [{"kty": "RSA", "n": b64(b"\xff" * 256), "e": "Ag"}]},
    "an endless RSA key": {"keys": [{"kty": "RSA", "n": b64(b"\xff" * 9000), "e": "AQAB"}]},
    "no key": {"keys": ["x"]},
    "a name of another kind": {"keys": [{**GOOD, "kid": 1}]},
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_keys_that_do_not_hold_make_no_client(program: Program, name: str) -> None:
    path = f"/api/v1/organisations/{program.organisation_id}/clients"
    wish = {"name": "p", "scopes": ["data:read"], "auth_method": "private_key_jwt"}
    answer = program.parties.admin().post(path, json={**wish, "jwks": BAD_KEYS[name]})
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:zhigu:problem:key-invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"auth_method": "private_key_jwt"},
        {"jwks": {"keys": [GOOD]}},
        {"grant_types": ["authorization_code"]},
        {"grant_types": ["client_credentials"], "redirect_uris": [REDIRECT]},
        {"grant_types": ["refresh_token"]},
        {"grant_types": ["password"]},
        {
            "auth_method": "none",
            "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "client_credentials"],
        },
    ],
    ids=" ".join,
)
def test_a_client_that_does_not_fit_together_is_not_made(
    program: Program, changes: dict[str, Any]
) -> None:
    path = f"/api/v1/organisations/{program.organisation_id}/clients"
    wish = {"name": "p", "scopes": ["data:read"], **changes}
    assert program.parties.admin().post(path, json=wish).status_code == 400


def test_a_client_does_what_it_was_made_for_and_no_more(program: Program) -> None:
    parties = program.parties
    parties.member(program.organisation_id, EMAIL)
    made = parties.client(
        program.organisation_id, redirect_uris=[REDIRECT], grant_types=["authorization_code"]
    )
    assert made["grant_types"] == ["authorization_code"]
    auth = basic(made["client_id"], made["client_secret"])
    own = send_form(parties, "/oauth/token", auth, grant_type="client_credentials")
    is_refused(own, "unauthorized_client", 400)
    code = Browser(parties).code(EMAIL, made["client_id"], scope=OFFLINE)
    given = exchange(parties, code, auth)
    assert given.status_code == 200
    assert "refresh_token" not in given.json()


def test_the_document_of_a_client_shows_its_public_keys(program: Program) -> None:
    path = f"/api/v1/organisations/{program.organisation_id}/clients"
    (item,) = program.parties.own(program.organisation_id).get(path).json()["items"]
    assert item["jwks"] == json.loads(json.dumps({"keys": [program.signer.jwk]}))
    assert item["auth_method"] == "private_key_jwt"
