"""What is kept of requests in memory is bounded, whoever sends them."""

from __future__ import annotations

import pytest

from app.kernel.refusals import NotSignedIn
from app.metering.gateway import requests
from app.metering.gateway.requests import REMEMBERED_MAX_BYTES, DataRequest, read_request

SLUG = b"/data/world-gdp"


def request_for(path: bytes, query: bytes = b"") -> DataRequest:
    return read_request(
        {
            "method": "GET",
            "raw_path": path,
            "query_string": query,
            "headers": ((b"authorization", b"Bearer x"),),
        }
    )


def test_a_long_path_is_read_like_a_short_one_and_not_kept() -> None:
    requests._remembered_path.cache_clear()
    short = request_for(SLUG + b"/api/short")
    long_path = SLUG + b"/api/" + b"a" * REMEMBERED_MAX_BYTES
    found = request_for(long_path)
    assert (found.slug, found.operation, found.rest) == (
        short.slug,
        "api",
        b"/" + b"a" * REMEMBERED_MAX_BYTES,
    )
    with pytest.raises(NotSignedIn):
        read_request({"method": "GET", "raw_path": long_path, "query_string": b"", "headers": ()})
    assert requests._remembered_path.cache_info().currsize == 1


def test_a_long_query_has_a_fingerprint_of_its_own_that_is_not_kept() -> None:
    requests._remembered_fingerprint.cache_clear()
    short = request_for(SLUG + b"/rows", b"limit=1").fingerprint("call")
    assert request_for(SLUG + b"/rows", b"limit=1").fingerprint("call") == short
    long_query = b"where=" + b"a" * REMEMBERED_MAX_BYTES
    first, other = (
        request_for(SLUG + b"/rows", query).fingerprint("call")
        for query in (long_query, long_query + b"b")
    )
    assert len({short, first, other}) == 3
    assert requests._remembered_fingerprint.cache_info().currsize == 1
