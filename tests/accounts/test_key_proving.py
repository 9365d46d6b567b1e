"""A signing key is registered by showing that its private half is held."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from httpx import Response

from app.accounts.queries import signing_key_of
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.canonical import canonical
from app.kernel.clock import SetClock
from app.kernel.jwk import SigningKey, base64url, new_key
from app.kernel.jws import KEY_PROOF_TYPE, TERMS_TYPE, sign_compact
from tests.accounts.conftest import Parties
from tests.conftest import START, Caller


def path_of(organisation_id: str) -> str:
    return f"/api/v1/organisations/{organisation_id}/keys"


def nonce_for(caller: Caller, organisation_id: str) -> str:
    answer = caller.get(f"{path_of(organisation_id)}/nonce")
    assert answer.status_code == 200
    return str(answer.json()["nonce"])


def proof(key: SigningKey, claims: dict[str, Any], typ: str = KEY_PROOF_TYPE) -> str:
    return sign_compact(key, canonical(claims), typ=typ, at=START)


def register(parties: Parties, organisation_id: str, key: SigningKey) -> Response:
    own = parties.own(organisation_id)
    claims = {"organisation": organisation_id, "nonce": nonce_for(own, organisation_id)}
    return own.post(
        path_of(organisation_id), json={"jwk": key.public.jwk, "proof": proof(key, claims)}
    )


def test_a_key_that_is_held_is_registered_and_found_by_both_its_names(
    parties: Parties, installation: Installation
) -> None:
    one, two = parties.organisation(), parties.organisation()
    key = new_key()
    answer = register(parties, one, key)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["kid"], made["jwk"]) == (key.kid, key.public.jwk)
    with installation.transaction(OPERATOR) as session:
        for kid in (made["id"], made["kid"]):
            row = signing_key_of(session, one, kid)
            assert row is not None
            assert row.jwk == key.public.jwk
            assert signing_key_of(session, two, kid) is None
        assert signing_key_of(session, one, "../" + made["kid"]) is None
    assert parties.own(one).get(path_of(one)).json()["items"] == [made]


def test_a_proof_is_good_once(parties: Parties, clock: SetClock) -> None:
    one = parties.organisation()
    own = parties.own(one)
    nonce = own.post(f"{path_of(one)}/nonce").json()["nonce"]
    keys = [new_key(), new_key()]
    answers = [
        own.post(
            path_of(one),
            json={
                "jwk": key.public.jwk,
                "proof": proof(key, {"organisation": one, "nonce": nonce}),
            },
        )
        for key in keys
    ]
    assert [answer.status_code for answer in answers] == [201, 422]
    assert answers[1].json()["type"] == "urn:zhigu:problem:nonce-unknown"


def test_a_nonce_lapses_after_ten_minutes(parties: Parties, clock: SetClock) -> None:
    one, key = parties.organisation(), new_key()
    own = parties.own(one)
    late, in_time = nonce_for(own, one), nonce_for(own, one)

    def send(nonce: str) -> Response:
        claims = {"organisation": one, "nonce": nonce}
        return own.post(path_of(one), json={"jwk": key.public.jwk, "proof": proof(key, claims)})

    clock.advance(timedelta(minutes=10))
    assert send(late).json()["type"] == "urn:zhigu:problem:nonce-unknown"
    clock.advance(timedelta(microseconds=-1))
    assert send(in_time).status_code == 201


def test_a_nonce_is_for_the_organisation_that_asked(parties: Parties) -> None:
    one, two, key = parties.organisation(), parties.organisation(), new_key()
    nonce = nonce_for(parties.own(two), two)
    claims = {"organisation": one, "nonce": nonce}
    answer = parties.own(one).post(
        path_of(one), json={"jwk": key.public.jwk, "proof": proof(key, claims)}
    )
    assert answer.json()["type"] == "urn:zhigu:problem:nonce-unknown"


@pytest.mark.parametrize(
    "nonce", ["", "x", "v1.test.AAAA.AAAA", "v1.none.AAAA.AAAA", "v1.test..", 1, None, ["a"]]
)
def test_a_forged_nonce_is_refused(parties: Parties, nonce: object) -> None:
    one, key = parties.organisation(), new_key()
    claims = {"organisation": one, "nonce": nonce}
    answer = parties.own(one).post(
        path_of(one), json={"jwk": key.public.jwk, "proof": proof(key, claims)}
    )
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:zhigu:problem:nonce-unknown"


def test_a_proof_that_does_not_hold_is_refused(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    own, key, other = parties.own(one), new_key(), new_key()

    def claims(**changes: object) -> dict[str, Any]:
        return {"organisation": one, "nonce": nonce_for(own, one), **changes}

    good = proof(key, claims())
    head, payload, signature = good.split(".")
    proofs = [
        proof(other, claims()),
        proof(key, claims(), typ=TERMS_TYPE),
        proof(key, claims(organisation=two)),
        proof(key, claims(more=1)),
        proof(key, {"nonce": nonce_for(own, one)}),
        sign_compact(key, b"not json", typ=KEY_PROOF_TYPE, at=START),
        f"{head}..{signature}",
        f"{head}.{payload}.{signature}=",
        f"{head}.{payload}.{base64url(bytes(64))}",
        f"{base64url(b'{}')}.{payload}.{signature}",
        "",
        "a.b.c",
    ]
    for text in proofs:
        answer = own.post(path_of(one), json={"jwk": key.public.jwk, "proof": text})
        assert answer.status_code == 422, text
        assert answer.json()["type"] == "urn:zhigu:problem:key-invalid"
    assert own.get(path_of(one)).json()["items"] == []
    assert own.post(path_of(one), json={"jwk": key.public.jwk, "proof": good}).status_code == 201


BAD_KEYS: list[dict[str, Any]] = [
    {},
    {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
    {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
    {"kty": "oct", "k": "AAAA"},
    {"kty": "OKP", "crv": "Ed25519", "x": base64url(bytes(32))},  # order 4
    {"kty": "OKP", "crv": "Ed25519", "x": base64url(b"\x01" + bytes(31))},  # the identity
    {"kty": "OKP", "crv": "Ed25519", "x": base64url(bytes(31))},
    {"kty": "OKP", "crv": "Ed25519", "x": base64url(b"\xff" * 32)},
    {"kty": "OKP", "crv": "Ed25519", "x": 5},
]


@pytest.mark.parametrize("jwk", BAD_KEYS, ids=str)
def test_a_key_that_binds_nobody_is_refused(parties: Parties, jwk: dict[str, Any]) -> None:
    one, key = parties.organisation(), new_key()
    own = parties.own(one)
    claims = {"organisation": one, "nonce": nonce_for(own, one)}
    answer = own.post(path_of(one), json={"jwk": jwk, "proof": proof(key, claims)})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:zhigu:problem:key-invalid"


def test_a_private_key_that_is_sent_is_refused_and_not_repeated(parties: Parties) -> None:
    one, key = parties.organisation(), new_key()
    own = parties.own(one)
    secret = base64url(key.private.private_bytes_raw())
    claims = {"organisation": one, "nonce": nonce_for(own, one)}
    answer = own.post(
        path_of(one), json={"jwk": {**key.public.jwk, "d": secret}, "proof": proof(key, claims)}
    )
    assert answer.status_code == 422
    assert secret not in answer.text


def test_a_key_belongs_to_one_organisation_once(parties: Parties) -> None:
    one, two, key = parties.organisation(), parties.organisation(), new_key()
    made = register(parties, one, key).json()
    assert parties.own(one).post(f"{path_of(one)}/{made['id']}/revoke").status_code == 200
    for organisation_id in (one, two):
        answer = register(parties, organisation_id, key)
        assert answer.json()["type"] == "urn:zhigu:problem:key-already-registered"


def test_a_revoked_key_is_still_found_and_says_so(
    parties: Parties, installation: Installation, clock: SetClock
) -> None:
    one, two, key = parties.organisation(), parties.organisation(), new_key()
    made = register(parties, one, key).json()
    path = f"{path_of(one)}/{made['id']}/revoke"
    assert parties.own(two).post(path).status_code == 404
    assert parties.own(two).post(f"{path_of(two)}/{made['id']}/revoke").status_code == 404
    for _ in range(2):
        answer = parties.own(one).post(path)
        assert (answer.status_code, answer.json()["state"]) == (200, "revoked")
    with installation.transaction(OPERATOR) as session:
        row = signing_key_of(session, one, key.kid)
    assert row is not None
    assert row.revoked_at == clock.now()


def test_keys_are_registered_by_the_organisation_itself_or_the_administrator(
    parties: Parties,
) -> None:
    one, two = parties.organisation(), parties.organisation()
    path = f"{path_of(one)}/nonce"
    for method in ("GET", "POST"):
        assert parties.own(two).request(method, path).status_code == 404
        assert parties.own(one, "organisations:read").request(method, path).status_code == 403
        assert parties.overseer("reviewer").request(method, path).status_code == 403
        assert parties.admin().request(method, path).status_code in (200, 201)
