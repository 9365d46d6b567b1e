"""Redirect addresses: where a code may be sent."""

from __future__ import annotations

import pytest
from authlib.common.urls import add_params_to_uri

from app.accounts.errors import RedirectUriInvalid
from app.accounts.redirect_uris import check_redirect_uri

GOOD = [
    "https://app.example/cb",
    "https://app.example:8443/cb?tenant=1",
    "https://app.example",
    "http://127.0.0.1:4711/cb",
    "http://[::1]:4711/cb",
    "http://localhost/cb",
    "cn.zhigu.app:/cb",
]
BAD = [
    "",
    "/cb",
    "//app.example/cb",
    "http://app.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost.evil.example/cb",
    "https://",
    "https:///cb",
    "https://app.example/cb#x",
    "https://user@app.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example/cb\n",
    "https://app.example/ cb",
    "https://app.example/\u00e9",
    "https://app.example:port/cb",
    "https://app.example;sandbox/cb",
    "https://app.example,x/cb",
    "https://*.example/cb",
    "https://'none'/cb",
    "https://app%2eexample/cb",
    "https://app..example/cb",
    "https://app.example/cb?code=1",
    "https://app.example/cb?state=1",
    "https://app.example/cb?iss=1",
    "https://app.example/cb?a=%zz",
    "https://app.example/cb?a",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "ftp://app.example/cb",
    "app:/cb",
    "https://app.example/" + "a" * 500,
]


@pytest.mark.parametrize("uri", GOOD)
def test_an_address_that_may_get_a_code_stays_as_it_is(uri: str) -> None:
    check_redirect_uri(uri)
    assert add_params_to_uri(uri, []) == uri


@pytest.mark.parametrize("uri", BAD)
def test_an_address_that_must_not_get_a_code_is_refused(uri: str) -> None:
    with pytest.raises(RedirectUriInvalid):
        check_redirect_uri(uri)
