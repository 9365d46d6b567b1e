"""A provider that lies, or somebody who stands between: plainly refused, and nobody is let in."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from sqlmodel import select

from app.accounts.models import Person
from app.accounts.oauth.models import SignInSession
from app.db.installation import Installation
from app.http import asking
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from tests.accounts.identity_providers.company import (
    CLIENT_ID,
    SECRET,
    Claims,
    Company,
    b64,
    plain_token,
)
from tests.accounts.identity_providers.conftest import Firm


@pytest.fixture(autouse=True)
def nobody_gets_in(installation: Installation) -> Iterator[None]:
    """After each test: nobody was made, and nobody is signed in."""
    yield
    with installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(Person)).all() == []
        assert session.exec(select(SignInSession)).all() == []


def is_refused(firm: Firm, **changes: str | None) -> None:
    answer = firm.come_back(**changes)
    assert answer.status_code == 422, answer.text
    assert "did not confirm who you are" in answer.text
    assert "Set-Cookie" not in answer.headers


Change = Callable[[Claims, int], object]
CHANGES: dict[str, Change] = {
    "no nonce": lambda claims, now_s: claims.pop("nonce"),
    "wrong nonce": lambda claims, now_s: claims.update(nonce="x" * 43),
    "wrong audience": lambda claims, now_s: claims.update(aud="someone"),
    "audience in another": lambda claims, now_s: claims.update(aud=f"{CLIENT_ID}2"),
    "no audience": lambda claims, now_s: claims.pop("aud"),
    "two audiences and no azp": lambda claims, now_s: claims.update(aud=[CLIENT_ID, "other"]),
    "wrong azp": lambda claims, now_s: claims.update(azp="other"),
    "foreign issuer": lambda claims, now_s: claims.update(iss="https://evil.example"),
    "issuer with a slash": lambda claims, now_s: claims.update(iss=f"{claims['iss']}/"),
    "no issuer": lambda claims, now_s: claims.pop("iss"),
    "expired": lambda claims, now_s: claims.update(exp=now_s - 60),
    "no exp": lambda claims, now_s: claims.pop("exp"),
    "exp as text": lambda claims, now_s: claims.update(exp=str(now_s + 300)),
    "exp as true": lambda claims, now_s: claims.update(exp=True),
    "from the future": lambda claims, now_s: claims.update(iat=now_s + 61),
    "not yet": lambda claims, now_s: claims.update(nbf=now_s + 61),
    "no iat": lambda claims, now_s: claims.pop("iat"),
    "long ago": lambda claims, now_s: claims.update(iat=now_s - 661),
    "no subject": lambda claims, now_s: claims.pop("sub"),
    "empty subject": lambda claims, now_s: claims.update(sub=""),
    "long subject": lambda claims, now_s: claims.update(sub="x" * 256),
    "subject of another kind": lambda claims, now_s: claims.update(sub=5),
    "subject with a NUL": lambda claims, now_s: claims.update(sub="emp\x00"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_token_that_does_not_answer_our_request_is_refused(
    firm: Firm, company: Company, name: str
) -> None:
    company.change = lambda claims: CHANGES[name](claims, company.now_s())
    is_refused(firm)


def none(company: Company, claims: Claims) -> str:
    return plain_token({"alg": "none"}, claims, lambda signed: b"")


def none_by_name(company: Company, claims: Claims) -> str:
    return plain_token({"alg": "nOnE", "kid": company.kid}, claims, lambda signed: b"")


def hmac_with_the_public_key(company: Company, claims: Claims) -> str:
    public = company.key.as_pem(private=False)
    return hmac_token(company, claims, public)


def hmac_with_our_secret(company: Company, claims: Claims) -> str:
    return hmac_token(company, claims, SECRET.encode())


def hmac_token(company: Company, claims: Claims, key: bytes) -> str:
    header = {"alg": "HS256", "kid": company.kid}
    return plain_token(header, claims, lambda signed: hmac.digest(key, signed, "sha256"))


def other_key(company: Company, claims: Claims) -> str:
    return signed_by(ECKey.generate_key("P-256"), {"kid": company.kid}, json.dumps(claims))


def brought_key(company: Company, claims: Claims) -> str:
    key = ECKey.generate_key("P-256")
    header = {"jwk": key.as_dict(private=False), "kid": company.kid}
    return signed_by(key, header, json.dumps(claims))


def signed_by(key: ECKey, header: Claims, body: str) -> str:
    header = {"alg": "ES256", **header}
    return str(jws.serialize_compact(header, body.encode(), key, algorithms=["ES256"]))


def zero_signature(company: Company, claims: Claims) -> str:
    return plain_token({"alg": "ES256", "kid": company.kid}, claims, lambda signed: bytes(64))


def critical(company: Company, claims: Claims) -> str:
    signed = company.signed(claims).split(".")
    header = {"alg": "ES256", "kid": company.kid, "crit": ["b64"], "b64": False}
    return ".".join([b64(json.dumps(header).encode()), *signed[1:]])


def padded(company: Company, claims: Claims) -> str:
    return company.signed(claims) + "=="


def no_token(company: Company, claims: Claims) -> str:
    return ""


def encrypted(company: Company, claims: Claims) -> str:
    return f"{b64(b'{}')}.{b64(b'x')}.{b64(b'x')}.{b64(b'x')}.{b64(b'x')}"


def huge(company: Company, claims: Claims) -> str:
    return company.signed({**claims, "x": "x" * 20_000})


def twice(company: Company, claims: Claims) -> str:
    body = json.dumps(claims)[:-1] + ', "sub": "emp-2"}'
    return signed_by(company.key, {"kid": company.kid}, body)


@pytest.mark.parametrize(
    "make",
    [
        none,
        none_by_name,
        hmac_with_the_public_key,
        hmac_with_our_secret,
        other_key,
        brought_key,
        zero_signature,
        critical,
        padded,
        no_token,
        encrypted,
        huge,
        twice,
    ],
    ids=lambda make: make.__name__,
)
def test_a_token_that_is_not_signed_by_a_published_key_is_refused(
    firm: Firm, company: Company, make: Callable[[Company, Claims], str]
) -> None:
    company.make_token = lambda claims: make(company, claims)
    is_refused(firm)


def test_a_weak_key_signs_nobody_in(bare_firm: Firm, company: Company) -> None:
    company.new_keys("RS256")
    company.key = RSAKey.generate_key(1024)
    bare_firm.attach()
    bare_firm.confirm()
    is_refused(bare_firm)


def test_a_key_for_another_use_or_algorithm_signs_nobody_in(
    bare_firm: Firm, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = company.key_set["keys"][0]
    monkeypatch.setattr(Company, "key_set", {"keys": [{**true, "use": "enc"}]})
    bare_firm.attach()
    bare_firm.confirm()
    is_refused(bare_firm)
    monkeypatch.setattr(Company, "key_set", {"keys": [{**true, "alg": "RS256"}]})
    bare_firm.attach()
    is_refused(bare_firm)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"code": None},
        {"code": "somebody else's"},
        {"code": None, "error": "access_denied"},
        {"error": "server_error"},
    ],
    ids=str,
)
def test_an_answer_from_elsewhere_or_without_a_code_is_refused(
    firm: Firm, changes: dict[str, str | None]
) -> None:
    is_refused(firm, **changes)


def test_a_code_for_another_browser_is_worth_nothing(firm: Firm, company: Company) -> None:
    victim = company.answer_of(firm.where())
    attacker = Firm(firm.parties, company, firm.organisation_id, firm.client_id)
    own = company.answer_of(attacker.where())
    # Its state and nonce are the attacker's, the code is the victim's: PKCE tells.
    assert attacker.bring({**own, "code": victim["code"]}).status_code == 422


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b"not json"),
        (200, b"[" * 100_000),
        (200, b'{"id_token": 5}'),
        (200, b'{"id_token": "' + b"x" * 300_000 + b'"}'),
        (400, b'{"error": "invalid_client"}'),
        (302, b""),
        (307, b""),
    ],
    ids=lambda one: str(one)[:20],
)
def test_what_is_no_answer_of_a_token_endpoint_is_refused(
    firm: Firm, company: Company, status: int, body: bytes
) -> None:
    elsewhere = {"Location": f"{company.issuer}/keys"}
    company.respond["/token"] = lambda: (status, elsewhere, body)
    is_refused(firm)


def test_a_provider_that_is_away_or_slow_is_said_to_be_and_the_next_try_begins_anew(
    firm: Firm, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LIMIT_S", 0.3)

    def slow() -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.6)
        return 200, {}, b"{}"

    answers: list[Callable[[], Any]] = [slow, lambda: (503, {}, b"")]
    for respond in answers:
        company.respond["/token"] = respond
        answer = firm.come_back()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "does not answer just now" in answer.text
        assert f"client_id={firm.client_id}" in answer.text
    where = firm.where()
    company.stop()
    assert firm.bring(company.answer_of(where)).status_code == 503


def test_tries_that_lead_to_nobody_are_limited(
    firm: Firm, company: Company, clock: SetClock
) -> None:
    company.claims["groups"] = []
    statuses = [firm.start().status_code for _ in range(52)]
    assert statuses[:50] == [200] * 50
    assert statuses[-1] == 429
    clock.advance(timedelta(seconds=30))
    assert firm.start().status_code == 200
