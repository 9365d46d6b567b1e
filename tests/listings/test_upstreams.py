"""Credentials for an upstream: what could not be sent is refused before it is sealed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from app.kernel.addresses import parse_upstream_url
from app.listings.upstreams import AuthKind, CredentialRefused, UpstreamAuth
from tests.listings.certificates import AT, client_certificate, pem_of


@pytest.mark.parametrize(
    ("kind", "name", "secret"),
    [
        (AuthKind.NONE, "", ""),
        (AuthKind.HEADER, "X-Api-Key", "s3cret"),
        (AuthKind.HEADER, "Authorization", "Bearer abc def"),
        (AuthKind.QUERY, "key", "a&b=c"),
        (AuthKind.BASIC, "user", "pass:word"),
    ],
)
def test_a_credential_that_can_be_sent_is_taken(kind: AuthKind, name: str, secret: str) -> None:
    assert UpstreamAuth(kind, name, secret).secret == secret


@pytest.mark.parametrize(
    ("kind", "name", "secret"),
    [
        (AuthKind.NONE, "X-Api-Key", ""),
        (AuthKind.NONE, "", "hush-hush"),
        (AuthKind.HEADER, "", "hush-hush"),
        (AuthKind.HEADER, "X-Api-Key", ""),
        (AuthKind.HEADER, "X Api", "hush-hush"),
        (AuthKind.HEADER, "X-Api:", "hush-hush"),
        (AuthKind.HEADER, "Host", "evil.example"),
        (AuthKind.HEADER, "content-LENGTH", "0"),
        (AuthKind.HEADER, "X-Api-Key", "two\r\nHost: lines"),
        (AuthKind.HEADER, "X-Api-Key", " hush-hush"),
        (AuthKind.HEADER, "X-Api-Key", "密"),
        (AuthKind.HEADER, "X-Api-Key", "x" * 4001),
        (AuthKind.BASIC, "us:er", "hush-hush"),
        (AuthKind.QUERY, "k\ney", "hush-hush"),
    ],
)
def test_a_credential_that_could_not_be_sent_is_refused(
    kind: AuthKind, name: str, secret: str
) -> None:
    with pytest.raises(CredentialRefused) as refused:
        UpstreamAuth(kind, name, secret)
    assert not secret or secret not in refused.value.detail


def test_a_secret_does_not_show_in_a_traceback() -> None:
    assert "s3cret" not in repr(UpstreamAuth(AuthKind.HEADER, "X-Api-Key", "s3cret"))


TOKEN_URL = "https://login.example.cn/oauth/token/"


@pytest.mark.parametrize(
    "changes",
    [
        {"token_url": ""},
        {"token_url": "ftp://login.example.cn/token"},
        {"token_url": "https://user@login.example.cn/token"},
        {"scope": "two  blanks"},
        {"scope": 'a"b'},
        {"name": "z h\nigu"},
        {"name": ""},
        {"secret": ""},
        {"certificate": "-----BEGIN CERTIFICATE-----"},
        {"kind": AuthKind.BASIC},
        {"kind": AuthKind.HEADER, "token_url": ""},
    ],
    ids=repr,
)
def test_an_oauth_client_needs_a_token_endpoint_and_only_it_has_one(
    changes: dict[str, Any],
) -> None:
    whole: dict[str, Any] = {
        "kind": AuthKind.OAUTH,
        "name": "zhigu",
        "secret": "hush-hush",
        "token_url": TOKEN_URL,
        "scope": "read write",
    }
    auth = UpstreamAuth(**whole)
    assert auth.details == {"token_url": TOKEN_URL, "scope": "read write"}
    assert [url.host for url in auth.other_urls] == ["login.example.cn"]
    with pytest.raises(CredentialRefused):
        UpstreamAuth(**whole | changes)


HTTPS, HTTP = (parse_upstream_url(f"{scheme}://api.example.cn") for scheme in ("https", "http"))


def why_unfit(certificate: str, key: str, days: int = 0) -> str:
    auth = UpstreamAuth(AuthKind.MTLS, secret=key, certificate=certificate)
    with pytest.raises(CredentialRefused) as refused:
        auth.check_for(HTTPS, AT + timedelta(days=days))
    assert "BEGIN" not in refused.value.detail
    return refused.value.detail


def test_a_client_certificate_is_taken_with_its_own_key_while_it_is_valid() -> None:
    certificate, key = client_certificate(AT)
    auth = UpstreamAuth(AuthKind.MTLS, secret=key, certificate=certificate)
    auth.check_for(HTTPS, AT)
    with pytest.raises(CredentialRefused):
        auth.check_for(HTTP, AT)
    other_certificate, other_key = client_certificate(AT)
    assert "not the first" in why_unfit(certificate, other_key)
    auth = UpstreamAuth(AuthKind.MTLS, secret=key, certificate=certificate + other_certificate)
    auth.check_for(HTTPS, AT)
    assert "not the first" in why_unfit(other_certificate + certificate, key)
    assert "not valid now" in why_unfit(certificate, key, days=400)
    assert "not valid now" in why_unfit(certificate, key, days=-400)
    assert "not PEM" in why_unfit("-----BEGIN CERTIFICATE-----", key)
    assert "chain" in why_unfit(certificate * 11, key)


def test_a_key_that_no_server_should_take_or_that_is_locked_is_refused() -> None:
    certificate, key = client_certificate(AT)
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  weak on purpose
    for text in (
        "not a key",
        pem_of(weak),
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        pem_of(rsa.generate_private_key(65537, 2048), password=b"locked"),
    ):
        assert "key" in why_unfit(certificate, text)
    with pytest.raises(CredentialRefused):
        UpstreamAuth(AuthKind.MTLS, name="zhigu", secret=key, certificate=certificate)
    with pytest.raises(CredentialRefused):
        UpstreamAuth(AuthKind.MTLS, secret=key)
