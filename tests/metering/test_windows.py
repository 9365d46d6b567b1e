"""Windows are calendar time in Asia/Shanghai, half-open and without gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.metering.windows import WindowKind, window_bounds
from tests.metering.grant_documents import local_us

LIFE = (local_us("2026-11-05 00:00:00"), local_us("2027-11-05 00:00:00"))
CALENDAR = [kind for kind in WindowKind if kind is not WindowKind.CONTRACT]


@pytest.mark.parametrize(
    ("kind", "at", "starts", "ends"),
    [
        ("day", "2026-11-05 00:00:00", "2026-11-05", "2026-11-06"),
        ("day", "2026-11-04 23:59:59.999999", "2026-11-04", "2026-11-05"),
        ("day", "2028-02-29 12:00:00", "2028-02-29", "2028-03-01"),
        ("month", "2026-12-31 23:59:59", "2026-12-01", "2027-01-01"),
        ("month", "2027-02-01 00:00:00", "2027-02-01", "2027-03-01"),
        ("quarter", "2026-11-05 12:00:00", "2026-10-01", "2027-01-01"),
        ("quarter", "2027-03-31 23:59:59", "2027-01-01", "2027-04-01"),
        ("quarter", "2027-04-01 00:00:00", "2027-04-01", "2027-07-01"),
        ("year", "2026-12-31 23:59:59", "2026-01-01", "2027-01-01"),
        ("contract", "2026-12-31 23:59:59", "2026-11-05", "2027-11-05"),
    ],
)
def test_a_window_is_found_around_a_moment(kind: str, at: str, starts: str, ends: str) -> None:
    found = window_bounds(WindowKind(kind), local_us(at), LIFE)
    assert found == (local_us(f"{starts} 00:00:00"), local_us(f"{ends} 00:00:00"))


@given(
    st.sampled_from(CALENDAR),
    st.integers(local_us("2000-01-01 00:00:00"), local_us("2100-01-01 00:00:00")),
)
def test_windows_hold_their_moment_and_follow_each_other(kind: WindowKind, at_us: int) -> None:
    starts, ends = window_bounds(kind, at_us, LIFE)
    assert starts <= at_us < ends
    assert window_bounds(kind, starts, LIFE) == (starts, ends)
    assert window_bounds(kind, ends - 1, LIFE) == (starts, ends)
    assert window_bounds(kind, ends, LIFE)[0] == ends
