"""Which part of a file a request asks for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.refusals import Malformed
from app.metering.hosted.errors import FileChanged, RangeRefused
from app.metering.hosted.ranges import Part, asked_part, conditional_headers

TAG = '"abc"'
SIZE = 1000
WHOLE = (0, 1000, False)


def asked(**headers: str) -> tuple[int, int, bool] | None:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    part = asked_part(given, TAG, SIZE)
    return None if part is None else (part.first, part.end, part.is_range)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes=0-0", (0, 1, True)),
        ("bytes=0-99", (0, 100, True)),
        ("bytes=990-", (990, 1000, True)),
        ("bytes=990-5000", (990, 1000, True)),
        ("bytes=0-999999999999999999", (0, 1000, True)),
        ("bytes=-1", (999, 1000, True)),
        ("bytes=-5000", (0, 1000, True)),
        ("BYTES= 5-9 ", (5, 10, True)),
        ("bytes=0-1,5-9", WHOLE),
        ("items=0-1", WHOLE),
        ("bytes", WHOLE),
    ],
)
def test_a_range_is_read_as_http_says(value: str, found: tuple[int, int, bool]) -> None:
    assert asked(range=value) == found


@pytest.mark.parametrize(
    "value",
    [
        "bytes=1000-",
        "bytes=5-4",
        "bytes=-0",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=٣-٤",
        "bytes=1-9999999999999999999",
    ],
)
def test_a_range_that_the_file_does_not_have_is_refused(value: str) -> None:
    with pytest.raises(RangeRefused) as refused:
        asked(range=value)
    assert refused.value.headers == {"Content-Range": "bytes */1000"}


def test_nothing_is_sent_to_a_caller_who_has_the_file() -> None:
    for tags in (TAG, "*", f'"x", {TAG}', f"W/{TAG}"):
        assert asked(if_none_match=tags, range="bytes=0-1") is None
    assert asked(if_none_match='"x", W/"y"') == WHOLE
    assert asked(if_none_match="abc") == WHOLE


def test_a_caller_who_wants_other_bytes_gets_none() -> None:
    for tags in ('"x"', f"W/{TAG}", "abc", ""):
        with pytest.raises(FileChanged):
            asked(if_match=tags)
    assert asked(if_match=f'"x", {TAG}') == asked(if_match="*") == WHOLE


def test_a_part_is_given_only_of_the_file_that_if_range_names() -> None:
    assert asked(range="bytes=0-9", if_range=TAG) == (0, 10, True)
    for other in ('"x"', f"W/{TAG}", "Wed, 25 Nov 2026 08:00:00 GMT"):
        assert asked(range="bytes=5000-", if_range=other) == WHOLE


def test_a_header_that_can_mean_two_things_is_refused() -> None:
    tags = ((b"if-match", b'"a"'), (b"if-match", TAG.encode()), (b"x", b"y"), (b"x", b"z"))
    assert asked_part(conditional_headers(tags), TAG, SIZE) == Part(0, SIZE, SIZE)
    with pytest.raises(Malformed):
        conditional_headers(((b"range", b"bytes=0-1"), (b"range", b"bytes=0-2")))


@given(st.integers(0, 10**7), st.integers(1, 10**9), st.lists(st.integers(1, 10**9)))
def test_the_parts_of_a_file_have_all_its_rows_and_those_that_are_cut_twice(
    rows: int, size: int, cuts: list[int]
) -> None:
    edges = sorted({0, size, *(cut % size for cut in cuts)})
    parts = [Part(first, end, size) for first, end in pairwise(edges)]
    together = sum(part.rows_of(rows) for part in parts)
    assert Part(0, size, size).rows_of(rows) == rows <= together < rows + len(parts)


def test_no_part_of_a_row_is_had_for_nothing() -> None:
    rows = 100  # of ten bytes each: all but the last byte of each of them
    parts = [Part(at, at + 9, SIZE) for at in range(0, SIZE, 10)]
    assert sum(part.rows_of(rows) for part in parts) == rows
    assert Part(500, 501, SIZE).rows_of(rows) == 1


def test_an_empty_file_has_no_range() -> None:
    for value in ("bytes=0-", "bytes=-1"):
        with pytest.raises(RangeRefused):
            asked_part({b"range": value.encode()}, TAG, 0)
