"""The demo's upstream answers from real data, counts what it served, and misbehaves on demand."""

from __future__ import annotations

import gzip
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.sandbox.upstream import RunningUpstream, running_upstream
from tests.sandbox.calling import Answer, request

ROOT = Path(__file__).parents[2]


@pytest.fixture
def upstream() -> Iterator[RunningUpstream]:
    with running_upstream() as running:
        yield running


def get(upstream: RunningUpstream, path: str, **headers: str) -> Answer:
    return request("GET", upstream.url + path, headers={"X-Api-Key": upstream.key, **headers})


def test_a_division_is_told_with_what_it_lies_in(upstream: RunningUpstream) -> None:
    assert get(upstream, "/v1/divisions/500103").json() == {
        "code": "500103",
        "name": "渝中区",
        "level": "district",
        "within": [
            {"code": "5001", "name": "市辖区", "level": "city"},
            {"code": "50", "name": "重庆市", "level": "province"},
        ],
    }
    assert get(upstream, "/v1/divisions/50").json()["within"] == []
    assert get(upstream, "/v1/divisions/000000").status == 404


def test_divisions_are_found_by_a_part_of_their_name(upstream: RunningUpstream) -> None:
    found = get(upstream, "/v1/divisions?name=%E6%B8%9D%E4%B8%AD").json()["items"]
    assert [item["code"] for item in found] == ["500103"]
    many = get(upstream, "/v1/divisions?name=%E5%8C%BA&limit=3").json()["items"]
    assert [item["code"] for item in many] == ["1101", "110101", "110102"]
    for query in ("", "?name=", "?name=x&limit=0", "?name=x&limit=101", "?name=x&limit=many"):
        assert get(upstream, f"/v1/divisions{query}").status == 400


def test_product_per_head_is_computed_from_two_data_sets(upstream: RunningUpstream) -> None:
    answer = get(upstream, "/v1/countries/CHN/gdp-per-head?year=2022").json()
    assert answer["gdp_usd"] == "17881783387000.867"
    assert answer["population"] == 1412175000
    assert answer["gdp_per_head_usd"] == "12662.58"
    assert get(upstream, "/v1/countries/CHN/gdp-per-head?year=1066").status == 404
    assert get(upstream, "/v1/countries/XXX/gdp-per-head?year=2022").status == 404
    assert get(upstream, "/v1/countries/CHN/gdp-per-head").status == 400


@pytest.mark.parametrize("key", ["", "upstream-ke", "upstream-key1", "\xe9"])
def test_nothing_is_told_without_the_key(upstream: RunningUpstream, key: str) -> None:
    assert request("GET", f"{upstream.url}/v1/divisions/50").status == 401
    answer = request("GET", f"{upstream.url}/v1/divisions/50", headers={"X-Api-Key": key})
    assert answer.status == 401
    assert upstream.asked() == 0


def test_it_counts_what_it_served_for_each_observer(upstream: RunningUpstream) -> None:
    get(upstream, "/v1/divisions/50")
    get(upstream, "/v1/divisions/50?observer=a")
    get(upstream, "/v1/divisions/51", observer="a")
    get(upstream, "/v1/divisions/00?observer=a")
    assert (upstream.asked(), upstream.served()) == (4, 3)
    assert (upstream.asked("a"), upstream.served("a"), upstream.served("b")) == (3, 2, 0)
    count = request("GET", f"{upstream.url}/_count?observer=a").json()
    assert count == {"asked": 3, "served": 2}
    assert request("GET", f"{upstream.url}/_count").json() == {"asked": 4, "served": 3}


def test_it_misbehaves_only_where_it_was_asked_to() -> None:
    with running_upstream(faults=False) as upstream:
        assert get(upstream, "/faults/status/500").status == 404


def test_each_fault_does_what_its_name_says(upstream: RunningUpstream) -> None:
    assert get(upstream, "/faults/status/503").status == 503
    assert get(upstream, "/faults/redirect?to=http://x/").headers["Location"] == "http://x/"
    assert "stolen" in get(upstream, "/faults/cookie").headers["Set-Cookie"]
    assert get(upstream, "/faults/echo?status=401").json()["X-Api-Key"] == upstream.key
    assert get(upstream, "/faults/html").headers["Content-Type"].startswith("text/html")
    assert get(upstream, "/faults/slow?bytes=3&every_s=0.01").body == b"xxx"
    assert len(get(upstream, "/faults/huge?bytes=200000").body) == 200_000
    packed = get(upstream, "/faults/gzip?bytes=1000000").body
    assert len(packed) < 10_000
    assert gzip.decompress(packed) == bytes(1_000_000)


@pytest.mark.parametrize("path", ["short", "broken"])
def test_a_body_that_ends_too_soon_is_seen_as_such(upstream: RunningUpstream, path: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        get(upstream, f"/faults/{path}")
    assert cut.value.partial


def test_a_hanging_path_gives_no_answer(upstream: RunningUpstream) -> None:
    with pytest.raises(TimeoutError):
        request(
            "GET",
            f"{upstream.url}/faults/hang",
            headers={"X-Api-Key": upstream.key},
            timeout_s=0.2,
        )


def test_it_is_a_process_that_ends_when_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app.sandbox.upstream", "--port", str(port), "--key", "k"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        answer = answered(f"http://127.0.0.1:{port}/v1/divisions/50")
        assert answer.json()["name"] == "重庆市"
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0


def answered(url: str) -> Answer:
    for _ in range(400):
        try:
            return request("GET", url, headers={"X-Api-Key": "k"})
        except OSError:
            time.sleep(0.05)
    raise AssertionError("it did not start")
