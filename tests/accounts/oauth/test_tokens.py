"""Access tokens: what we issue holds, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey
from sqlmodel import Session

from app.accounts.bootstrapping import ensure_operator
from app.accounts.models import Client, Organisation
from app.accounts.oauth.issuing import Bearer, issue_token
from app.accounts.oauth.liveness import AccountAuthenticator
from app.accounts.oauth.models import RevokedToken, TokenKey
from app.accounts.oauth.token_keys import ensure_token_key, opened_key
from app.accounts.oauth.tokens import TokenInvalid, TokenVerifier
from app.db.installation import Installation
from app.kernel.actor import OPERATOR, ActorKind
from app.kernel.clock import SetClock, epoch_us
from app.kernel.jwk import base64url, base64url_decode

Forge = Callable[[dict[str, Any], dict[str, Any], OKPKey], str]


@pytest.fixture
def admin_id(installation: Installation) -> str:
    with installation.transaction(OPERATOR) as session:
        client_id, secret = ensure_operator(session)
    assert secret is not None
    return client_id


def bearer_of(session: Session, client_id: str) -> Bearer:
    client = session.get_one(Client, client_id)
    return Bearer(
        subject=client.id,
        client_id=client.id,
        organisation_id=client.organisation_id,
        scopes=client.scopes,
        roles=client.roles,
    )


def issued(installation: Installation, client_id: str) -> str:
    with installation.transaction(OPERATOR) as session:
        return issue_token(session, bearer_of(session, client_id)).text


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = token.split(".")
    return json.loads(base64url_decode(header)), json.loads(base64url_decode(claims))


def key_of(installation: Installation) -> OKPKey:
    with installation.transaction(OPERATOR) as session:
        return opened_key(installation, ensure_token_key(session))


def raw_token(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
    """A token signed whatever its header says: libraries refuse to make most of these."""
    encoded = [base64url(json.dumps(part).encode()) for part in (header, claims)]
    private = Ed25519PrivateKey.from_private_bytes(base64url_decode(key.as_dict(private=True)["d"]))
    return ".".join([*encoded, base64url(private.sign(".".join(encoded).encode()))])


def test_a_token_says_who_acts_for_whom(installation: Installation, admin_id: str) -> None:
    actor, lapses_at_s = TokenVerifier(installation).verify(issued(installation, admin_id))
    assert (actor.kind, actor.id, actor.client_id) == (ActorKind.CLIENT, admin_id, admin_id)
    assert actor.has_scope("admin")
    assert actor.roles == {"admin", "reviewer", "signer", "auditor"}
    assert lapses_at_s == epoch_us(installation.clock.now()) // 1_000_000 + 600


def test_an_independent_reader_verifies_a_token_by_the_published_key(
    installation: Installation, admin_id: str
) -> None:
    token = issued(installation, admin_id)
    header, _ = parts_of(token)
    with installation.transaction(OPERATOR) as session:
        row = session.get_one(TokenKey, header["kid"])
        public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": row.public_x})
    assert public.thumbprint() == header["kid"]
    claims = jwt.decode(token, public, algorithms=["Ed25519"]).claims
    assert claims["iss"] == claims["aud"] == "http://127.0.0.1:8000"
    assert header == {"alg": "Ed25519", "typ": "at+jwt", "kid": header["kid"]}


def test_a_token_holds_for_ten_minutes_and_the_skew(
    installation: Installation, admin_id: str, clock: SetClock
) -> None:
    token = issued(installation, admin_id)
    warm = TokenVerifier(installation)
    warm.verify(token)
    for seconds, holds in ((-61, False), (-60, True), (659, True), (660, False)):
        clock.advance(timedelta(seconds=seconds))
        for verifier in (warm, TokenVerifier(installation)):
            if verifier is warm and seconds < 0:
                continue  # it has seen the token already: time that runs back harms nobody
            if holds:
                verifier.verify(token)
            else:
                with pytest.raises(TokenInvalid):
                    verifier.verify(token)
        clock.advance(timedelta(seconds=-seconds))


HEADERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "alg none": lambda h: {**h, "alg": "none"},
    "alg None": lambda h: {**h, "alg": None},
    "alg EdDSA": lambda h: {**h, "alg": "EdDSA"},
    "alg HS256": lambda h: {**h, "alg": "HS256"},
    "typ JWT": lambda h: {**h, "typ": "JWT"},
    "typ of an ID token": lambda h: {**h, "typ": "id+jwt"},
    "typ of a key proof": lambda h: {**h, "typ": "zhigu-key-proof+jws"},
    "no typ": lambda h: {"alg": h["alg"], "kid": h["kid"]},
    "no kid": lambda h: {"alg": h["alg"], "typ": h["typ"]},
    "kid a path": lambda h: {**h, "kid": "../../../../dev/null"},
    "kid a statement": lambda h: {**h, "kid": "' UNION SELECT 'x' --"},
    "kid a number": lambda h: {**h, "kid": 1},
    "kid a list": lambda h: {**h, "kid": []},
    "crit": lambda h: {**h, "crit": ["exp"], "exp": 1},
    "b64": lambda h: {**h, "b64": False, "crit": ["b64"]},
    "jku": lambda h: {**h, "jku": "https://evil.example/jwks"},
    "x5u": lambda h: {**h, "x5u": "https://evil.example/x"},
    "x5c": lambda h: {**h, "x5c": ["MII"]},
    "jwk": lambda h: {**h, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}},
    "zip": lambda h: {**h, "zip": "DEF"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_not_ours_is_refused_although_the_signature_is(
    installation: Installation, admin_id: str, name: str
) -> None:
    header, claims = parts_of(issued(installation, admin_id))
    key = key_of(installation)
    TokenVerifier(installation).verify(raw_token(header, claims, key))
    with pytest.raises(TokenInvalid):
        TokenVerifier(installation).verify(raw_token(HEADERS[name](header), claims, key))


CLAIMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another issuer": lambda c: {**c, "iss": "https://evil.example"},
    "issuer with a slash": lambda c: {**c, "iss": c["iss"] + "/"},
    "another audience": lambda c: {**c, "aud": "https://evil.example"},
    "two audiences": lambda c: {**c, "aud": [c["aud"], "https://evil.example"]},
    "no audience": lambda c: {k: v for k, v in c.items() if k != "aud"},
    "no exp": lambda c: {k: v for k, v in c.items() if k != "exp"},
    "exp text": lambda c: {**c, "exp": str(c["exp"])},
    "exp true": lambda c: {**c, "exp": True},
    "exp a fraction": lambda c: {**c, "exp": c["exp"] + 0.5},
    "nbf in the future": lambda c: {**c, "nbf": c["iat"] + 120},
    "iat in the future": lambda c: {**c, "iat": c["iat"] + 120},
    "no jti": lambda c: {k: v for k, v in c.items() if k != "jti"},
    "no org": lambda c: {k: v for k, v in c.items() if k != "org"},
    "org null": lambda c: {**c, "org": None},
    "scope a list": lambda c: {**c, "scope": ["admin"]},
    "unknown role": lambda c: {**c, "roles": ["root"]},
    "roles text": lambda c: {**c, "roles": "admin"},
    "sub of another client": lambda c: {**c, "client_id": "cli_01k8zzzzzzzzzzzzzzzzzzzzzz"},
    "sub no id": lambda c: {**c, "sub": "admin"},
    "sub an organisation": lambda c: {**c, "sub": c["org"]},
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_is_not_ours_is_refused_although_the_signature_is(
    installation: Installation, admin_id: str, name: str
) -> None:
    header, claims = parts_of(issued(installation, admin_id))
    with pytest.raises(TokenInvalid):
        TokenVerifier(installation).verify(
            raw_token(header, CLAIMS[name](claims), key_of(installation))
        )


def test_a_token_by_another_key_is_refused(installation: Installation, admin_id: str) -> None:
    token = issued(installation, admin_id)
    header, claims = parts_of(token)
    verifier = TokenVerifier(installation)
    stranger = OKPKey.generate_key("Ed25519")
    public_x = str(key_of(installation).as_dict(private=False)["x"])
    forged = [
        raw_token(header, claims, stranger),
        raw_token({**header, "kid": stranger.thumbprint()}, claims, stranger),
        jwt.encode(
            {**header, "alg": "HS256"}, claims, OctKey.import_key(public_x), algorithms=["HS256"]
        ),
        jwt.encode(
            {**header, "alg": "ES256"}, claims, ECKey.generate_key("P-256"), algorithms=["ES256"]
        ),
        token.rpartition(".")[0] + ".",
        token.rpartition(".")[0] + "." + "A" * 86,
    ]
    for other in forged:
        with pytest.raises(TokenInvalid):
            verifier.verify(other)


def test_text_that_is_no_token_of_ours_is_refused(
    installation: Installation, admin_id: str
) -> None:
    token = issued(installation, admin_id)
    head, claims, signature = token.split(".")
    twice = base64url(b'{"alg":"Ed25519","typ":"at+jwt","kid":"x","kid":"y"}')
    others = [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        token + "=",
        token + "==",
        f"{head}=.{claims}.{signature}",
        token + ".",
        " " + token,
        token.replace("-", "+").replace("_", "/") + "\n",
        f"{head}.{claims}.{signature}.{signature}.{signature}",
        f"{twice}.{claims}.{signature}",
        "e" * 1_000_000,
        f"{head}.{'A' * 1_000_000}.{signature}",
        "\u00e9" * 10,
        "\ud800.\ud800.\ud800",
    ]
    verifier = TokenVerifier(installation)
    verifier.verify(token)
    for other in others:
        with pytest.raises(TokenInvalid):
            verifier.verify(other)


def test_a_token_lives_no_longer_than_its_client_organisation_and_itself(
    installation: Installation, admin_id: str
) -> None:
    token = issued(installation, admin_id)
    authenticator = AccountAuthenticator(installation)
    actor = authenticator.actor_of(token)
    moment = installation.clock.now()
    endings: list[tuple[type[Any], Any, str]] = [
        (Client, admin_id, "revoked_at"),
        (Organisation, actor.organisation_id, "suspended_at"),
    ]
    for model, row_id, field in endings:
        with installation.transaction(OPERATOR) as session:
            setattr(session.get_one(model, row_id), field, moment)
        with pytest.raises(TokenInvalid):
            authenticator.actor_of(token)
        with installation.transaction(OPERATOR) as session:
            setattr(session.get_one(model, row_id), field, None)
        authenticator.actor_of(token)
    with installation.transaction(OPERATOR) as session:
        assert actor.token_id is not None
        session.add(RevokedToken(jti=actor.token_id, revoked_at=moment, lapses_at=moment))
    with pytest.raises(TokenInvalid):
        authenticator.actor_of(token)
