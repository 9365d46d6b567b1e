"""Credentials for an upstream: what could not be sent is refused before it is sealed."""

from __future__ import annotations

import pytest

from app.listings.upstreams import AuthKind, CredentialRefused, UpstreamAuth


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
