"""Signatures: what we sign others can verify, and nothing but exactly our form is taken."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws as peer
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from app.kernel.jwk import JoseInvalid, base64url, new_key
from app.kernel.jws import (
    KEY_PROOF_TYPE,
    TERMS_TYPE,
    read_header,
    sign_compact,
    sign_detached,
    verify_compact,
    verify_detached,
)

AT = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
PAYLOAD = '{"price":"0.0125","title":"世界人口"}'.encode()
KEY = new_key()


def signed(header: Any, payload: bytes = PAYLOAD, *, raw: bytes | None = None) -> str:
    """A detached JWS with any header at all, and a signature that fits it."""
    encoded = base64url(raw if raw is not None else json.dumps(header).encode())
    signature = KEY.private.sign(f"{encoded}.{base64url(payload)}".encode())
    return f"{encoded}..{base64url(signature)}"


def header(**change: Any) -> dict[str, Any]:
    return {"alg": "Ed25519", "kid": KEY.kid, "iat": 1, "typ": TERMS_TYPE, **change}


def test_a_detached_signature_verifies_over_the_same_bytes() -> None:
    jws = sign_detached(KEY, PAYLOAD, typ=TERMS_TYPE, at=AT)
    found = verify_detached(jws, PAYLOAD, KEY.public, typ=TERMS_TYPE)
    assert (found.kid, found.iat, found.alg) == (KEY.kid, int(AT.timestamp()), "Ed25519")
    assert read_header(jws) == found


def test_a_compact_signature_carries_its_payload() -> None:
    jws = sign_compact(KEY, PAYLOAD, typ=KEY_PROOF_TYPE, at=AT)
    found, payload = verify_compact(jws, KEY.public, typ=KEY_PROOF_TYPE)
    assert payload == PAYLOAD
    assert found.typ == KEY_PROOF_TYPE


def test_another_library_verifies_what_we_sign() -> None:
    key = OKPKey.import_key(dict(KEY.public.jwk))
    jws = sign_detached(KEY, PAYLOAD, typ=TERMS_TYPE, at=AT)
    left, _, right = jws.split(".")
    found = peer.deserialize_compact(
        f"{left}.{base64url(PAYLOAD)}.{right}",
        key,
        registry=JWSRegistry(algorithms=["Ed25519"], strict_check_header=False),
    )
    assert found.payload == PAYLOAD


def test_the_older_name_of_the_algorithm_is_taken() -> None:
    verify_detached(signed(header(alg="EdDSA")), PAYLOAD, KEY.public, typ=TERMS_TYPE)


@pytest.mark.parametrize(
    "changed",
    [
        header(alg="none"),
        header(alg="HS256"),
        header(alg="ed25519"),
        header(alg=None),
        header(alg=["Ed25519"]),
        header(crit=["b64"], b64=False),
        header(crit=[]),
        header(b64=False),
        header(jwk={}),
        header(jku="https://keys.example"),
        header(kid="../../etc/passwd"),
        header(kid=""),
        header(kid="k" * 65),
        header(kid=7),
        header(iat="1"),
        header(iat=1.0),
        header(iat=True),
        header(iat=-1),
        header(iat=2**53),
        header(typ=KEY_PROOF_TYPE),
        header(typ="JWT"),
        header(typ=None),
        {"alg": "Ed25519", "kid": "k", "typ": TERMS_TYPE},
        {},
        [],
        "header",
    ],
)
def test_a_header_that_is_not_exactly_ours_is_refused(changed: Any) -> None:
    with pytest.raises(JoseInvalid):
        verify_detached(signed(changed), PAYLOAD, KEY.public, typ=TERMS_TYPE)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[" * 700,
        b'{"alg":"none","alg":"Ed25519","kid":"k","iat":1,"typ":"zhigu-terms+jws"}',
        b'{"alg":"Ed25519","kid":"k","iat":NaN,"typ":"zhigu-terms+jws"}',
        b'{"alg":"Ed25519","kid":"k","iat":1e3,"typ":"zhigu-terms+jws"}',
        b'\xef\xbb\xbf{"alg":"Ed25519","kid":"k","iat":1,"typ":"zhigu-terms+jws"}',
        b'{"alg":"Ed25519","kid":"k","iat":1,"typ":"zhigu-terms+jws"}' + b" " * 1000,
    ],
)
def test_a_header_that_is_not_one_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(JoseInvalid):
        verify_detached(signed(None, raw=raw), PAYLOAD, KEY.public, typ=TERMS_TYPE)


def test_a_header_within_a_header_member_twice_is_refused() -> None:
    raw = b'{"alg":"Ed25519","kid":"k","iat":1,"iat":1,"typ":"zhigu-terms+jws"}'
    with pytest.raises(JoseInvalid, match="once"):
        verify_detached(signed(None, raw=raw), PAYLOAD, KEY.public, typ=TERMS_TYPE)


def test_other_bytes_another_key_and_an_altered_signature_are_refused() -> None:
    jws = sign_detached(KEY, PAYLOAD, typ=TERMS_TYPE, at=AT)
    head, _, tail = jws.split(".")
    flipped = ("A" if tail[0] != "A" else "B") + tail[1:]
    for text, payload, key in (
        (jws, PAYLOAD + b" ", KEY.public),
        (jws, b"", KEY.public),
        (jws, PAYLOAD, new_key().public),
        (f"{head}..{flipped}", PAYLOAD, KEY.public),
        (f"{head}..", PAYLOAD, KEY.public),
        (f"{head}..{tail[:-4]}", PAYLOAD, KEY.public),
    ):
        with pytest.raises(JoseInvalid):
            verify_detached(text, payload, key, typ=TERMS_TYPE)


def test_a_signature_has_one_spelling() -> None:
    jws = sign_detached(KEY, PAYLOAD, typ=TERMS_TYPE, at=AT)
    head, _, tail = jws.split(".")
    payload = base64url(PAYLOAD)
    for text in (
        f"{jws}==",
        f"{jws}\n",
        f" {jws}",
        f"{head}.{payload}.{tail}",
        f"{head}.{tail}",
        f"{head}...{tail}",
        f"{head}=..{tail}",
        "",
        "..",
        "a" * 20_000,
    ):
        with pytest.raises(JoseInvalid):
            verify_detached(text, PAYLOAD, KEY.public, typ=TERMS_TYPE)


def test_a_detached_signature_is_not_a_proof_and_a_proof_signs_no_terms() -> None:
    proof = sign_compact(KEY, PAYLOAD, typ=KEY_PROOF_TYPE, at=AT)
    head, _, tail = proof.split(".")
    with pytest.raises(JoseInvalid, match="type"):
        verify_detached(f"{head}..{tail}", PAYLOAD, KEY.public, typ=TERMS_TYPE)
    with pytest.raises(JoseInvalid):
        verify_compact(f"{head}..{tail}", KEY.public, typ=KEY_PROOF_TYPE)
