"""Keys: made once, kept private, refused when weak; signatures by the published vectors."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from app.kernel.jwk import (
    JoseInvalid,
    PublicKey,
    base64url,
    base64url_decode,
    load_key_file,
    new_key,
    new_key_file,
    public_key,
    signature_holds,
)

VECTORS = Path(__file__).parents[1] / "data" / "vectors" / "wycheproof_ed25519.json"


def wycheproof_cases() -> list[tuple[bytes, dict[str, Any]]]:
    groups = json.loads(VECTORS.read_text("utf-8"))["testGroups"]
    return [
        (bytes.fromhex(group["publicKey"]["pk"]), case)
        for group in groups
        for case in group["tests"]
    ]


def test_all_151_wycheproof_vectors_pass_through_the_function_that_signing_uses() -> None:
    cases = wycheproof_cases()
    assert len(cases) == 151
    wrong = [
        case["tcId"]
        for raw, case in cases
        if signature_holds(PublicKey(raw), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        is not (case["result"] == "valid")
    ]
    assert wrong == []


def test_the_thumbprint_is_that_of_rfc_8037_appendix_a_3() -> None:
    key = public_key(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    )
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "acme.jwk"
    shown = new_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key_file(path).public == shown
    with pytest.raises(FileExistsError):
        new_key_file(path)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "acme.jwk"
    new_key_file(path)
    path.chmod(0o644)
    with pytest.raises(JoseInvalid, match="chmod 600"):
        load_key_file(path)


@pytest.mark.parametrize(
    "change",
    [
        {"d": base64url(b"\x01" * 32)},
        {"d": base64url(b"\x01" * 31)},
        {"d": None},
        {"kty": "EC"},
        {"x": "AA"},
    ],
)
def test_a_key_file_with_a_wrong_half_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "acme.jwk"
    new_key_file(path)
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    with pytest.raises(JoseInvalid):
        load_key_file(path)


def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "acme.jwk"
    for content in (b"", b"[]", b"\xff", b'{"d":1,"d":2}', b"[" * 100_000):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(JoseInvalid):
            load_key_file(path)


@pytest.mark.parametrize(
    "change",
    [
        {"d": "secret"},
        {"kty": "RSA"},
        {"crv": "X25519"},
        {"alg": "ES256"},
        {"alg": ["Ed25519"]},
        {"use": "enc"},
        {"x5u": "https://keys.example"},
        {"x": None},
        {"x": 5},
        {"x": "AA"},
        {"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
        {"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"},
    ],
)
def test_only_a_plain_public_ed25519_key_is_taken(change: dict[str, Any]) -> None:
    good = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "alg": "EdDSA",
        "use": "sig",
    }
    assert public_key(good).raw
    with pytest.raises(JoseInvalid):
        public_key({**good, **change})


P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Twisted Edwards addition, affine: slow and plain, to check the table of weak keys."""
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, P - 2, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, P - 2, P) % P
    return x, y


def x_of(y: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    return x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P


def test_the_keys_under_which_anything_verifies_are_exactly_those_refused() -> None:
    """Every point of order 8, 4, 2 and 1 is a multiple of one of order 8."""
    y8 = int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    )
    point = generator = (x_of(y8), y8)
    small = [point]
    for _ in range(7):
        point = add(point, generator)
        small.append(point)
    assert len(set(small)) == 8
    assert small[-1] == (0, 1)
    for x, y in small:
        for sign in {x & 1, 0, 1}:
            raw = (y | sign << 255).to_bytes(32, "little")
            with pytest.raises(JoseInvalid, match="anything"):
                public_key({"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)})


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_a_second_spelling_of_a_point_is_refused(y: int) -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(y.to_bytes(32, "little"))}
    with pytest.raises(JoseInvalid):
        public_key(jwk)


def test_under_the_weakest_key_one_signature_does_fit_two_messages() -> None:
    """Why weak keys are refused at the door: the verifying arithmetic itself lets them through."""
    weak = PublicKey((1).to_bytes(32, "little"))
    signature = (1).to_bytes(32, "little") + bytes(32)
    assert signature_holds(weak, b"one price", signature)
    assert signature_holds(weak, b"another price", signature)


@pytest.mark.parametrize("text", ["AA==", "A", "AB", "A+", "A/", "AA\n", "é", None, 5])
def test_base64url_has_one_spelling(text: object) -> None:
    with pytest.raises(JoseInvalid):
        base64url_decode(text)


def test_a_signing_key_does_not_print_itself() -> None:
    key = new_key()
    assert base64url(key.private.private_bytes_raw()) not in repr(key)
