"""The URL of an upstream call stays below its base, whatever the path is written like."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.addresses import UpstreamUrl
from app.metering.upstream.errors import PathRefused
from app.metering.upstream.targets import TARGET_MAX_BYTES, join_path, read_query

BASE = UpstreamUrl("http", "api.example.com", 80, "/v1/public")
ROOT = UpstreamUrl("http", "api.example.com", 80, "")


@pytest.mark.parametrize(
    ("path", "joined"),
    [
        (b"", "/v1/public"),
        (b"/", "/v1/public/"),
        (b"/rows", "/v1/public/rows"),
        (b"/a%2Fb", "/v1/public/a%2Fb"),
        (b"/a%252Fb", "/v1/public/a%252Fb"),
        (b"//evil.example/x", "/v1/public//evil.example/x"),
        (b"/http://evil.example", "/v1/public/http://evil.example"),
        (b"/@evil.example", "/v1/public/@evil.example"),
        (b"/...", "/v1/public/..."),
        (b"/.well-known/x", "/v1/public/.well-known/x"),
        (b"/a..b/.c", "/v1/public/a..b/.c"),
        (b"/%E4%B8%AD;v=1,2", "/v1/public/%E4%B8%AD;v=1,2"),
    ],
)
def test_a_path_is_joined_to_the_base_unchanged(path: bytes, joined: str) -> None:
    assert join_path(BASE, path) == joined


def test_a_base_without_a_path_has_the_root() -> None:
    assert join_path(ROOT, b"") == "/"
    assert join_path(ROOT, b"/x") == "/x"


@pytest.mark.parametrize(
    "path",
    [
        b"/..",
        b"/../admin",
        b"/a/../../admin",
        b"/.",
        b"/a/./b",
        b"/%2e%2e/admin",
        b"/%2E./admin",
        b"/.%2e/admin",
        b"/..%2fadmin",
        b"/a%2f..%2f..%2fadmin",
        b"/..%5cadmin",
        b"/a%5C..%5Cadmin",
        b"/%252e%252e/admin",
        b"/%25252e%25252e%25252fadmin",
        b"/..;/admin",
        b"/..;x=y/admin",
        b"/%2e%2e%3b/admin",
        b"..",
        b"x",
        b"@evil.example/",
        b".evil.example/",
        b":80@evil.example/",
        b"/a\\..\\b",
        b"/a b",
        b"/a?b",
        b"/a#b",
        b"/a\r\nX: y",
        b"/a%0d%0aX:%20y",
        b"/a%00.csv",
        b"/a%2500.csv",
        b"/%",
        b"/%zz",
        b"/%2",
        "/中".encode(),
        b"/\xff",
        b"/a|b",
        b"/" + b"a" * TARGET_MAX_BYTES,
    ],
)
def test_a_path_that_could_mean_another_place_is_refused(path: bytes) -> None:
    with pytest.raises(PathRefused):
        join_path(BASE, path)


@given(st.lists(st.sampled_from([b"/", b".", b"..", b"%2e", b"%2F", b"%5c", b";", b"a", b"%25"])))
def test_no_combination_of_dots_and_slashes_climbs_out(parts: list[bytes]) -> None:
    path = b"".join(parts)
    try:
        joined = join_path(BASE, path)
    except PathRefused:
        return
    assert joined == "/v1/public" + path.decode()
    decoded = joined
    for _ in range(3):
        segments = [part.split(";")[0] for part in decoded.replace("\\", "/").split("/")]
        assert not {".", ".."} & set(segments)
        decoded = unquote(decoded)


@pytest.mark.parametrize("query", [b"", b"a=1&b=%E4%B8%AD", b"q={x}|[y]", b"a=100%", b"a=b?c=/d"])
def test_a_query_is_forwarded_unchanged(query: bytes) -> None:
    assert read_query(query) == query.decode()


@pytest.mark.parametrize(
    "query", [b"a b", b"a#b", b"a=\r\nX: y", b"a=\x00", "a=中".encode(), b"a" * 8_001]
)
def test_a_query_that_no_client_may_send_is_refused(query: bytes) -> None:
    with pytest.raises(PathRefused):
        read_query(query)
