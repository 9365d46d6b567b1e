"""The rate gate lets through a steady rate and a burst, shared by the workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.metering.gateway.rates import LimitHeaders, RateGate
from app.metering.grants import Quota, Rate, compiled_from, frame_at
from tests.metering.calling import NOON_US
from tests.metering.grant_documents import grant_document, quota


def admitted(gate: RateGate, moments: list[float]) -> int:
    count = 0
    for moment in moments:
        if gate.take(moment) == 0:
            count += 1
    return count


def test_a_burst_passes_and_then_the_steady_rate() -> None:
    gate = RateGate(Rate(per_second=10, burst=5), workers=1)
    assert admitted(gate, [100.0] * 20) == 5
    assert gate.take(100.0) == pytest.approx(0.1)
    assert admitted(gate, [100.1] * 20) == 1
    assert admitted(gate, [200.0] * 20) == 5


def test_workers_share_the_rate_and_each_serves_at_least_one() -> None:
    gate = RateGate(Rate(per_second=10, burst=1), workers=4)
    assert admitted(gate, [100.0] * 5) == 1
    assert gate.take(100.0) == pytest.approx(0.4)


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=200).map(sorted),
)
def test_never_more_than_the_burst_and_the_rate(
    per_second: int, burst: int, moments: list[float]
) -> None:
    gate = RateGate(Rate(per_second=per_second, burst=burst), workers=1)
    count = admitted(gate, moments)
    assert count <= burst + (moments[-1] - moments[0]) * per_second + 1e-6


def test_headers_name_what_blocks_and_leave_out_what_is_charged() -> None:
    windows = [
        quota("month", 10, "charge", name="included"),
        quota("month", 50, name="cap"),
        quota("day", None, name="counted"),
    ]
    grant = compiled_from(grant_document(windows=windows, meter="row"))
    assert isinstance(grant.windows[0], Quota)
    headers = dict(LimitHeaders(grant, frame_at(grant, NOON_US)).after((0, 49, 60), 0, NOON_US))
    assert headers[b"ratelimit-policy"] == b'"cap";q=50;qu="rows";w=2592000'
    assert headers[b"ratelimit"] == b'"cap";r=1;t=2462400'


def test_a_grant_without_limits_has_no_headers() -> None:
    grant = compiled_from(grant_document())
    assert LimitHeaders(grant, frame_at(grant, NOON_US)).after((7,), 0, NOON_US) == ()
