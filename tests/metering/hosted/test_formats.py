"""Rows as bytes, and the choice of a format."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.listings.conditions.columns import column_of
from app.metering.hosted.errors import NotAcceptable
from app.metering.hosted.formats import (
    Format,
    choose_format,
    csv_header,
    csv_rows,
    json_page,
    json_rows,
)

TEXT = column_of("t", "VARCHAR")
INTEGER = column_of("n", "HUGEINT")
FLOAT = column_of("x", "DOUBLE")
DECIMAL = column_of("m", "DECIMAL(18,2)")
BOOLEAN = column_of("b", "BOOLEAN")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (b"", Format.JSON),
        (b" , ", Format.JSON),
        (b"*/*", Format.JSON),
        (b"application/json", Format.JSON),
        (b"text/csv", Format.CSV),
        (b"TEXT/CSV; q=1.0", Format.CSV),
        (b"text/*", Format.CSV),
        (b"application/vnd.apache.parquet", Format.PARQUET),
        (b"application/*", Format.JSON),
        (b"application/json;q=0.5, text/csv", Format.CSV),
        (b"text/csv;q=0.5, */*;q=0.1", Format.CSV),
        (b"*/*, application/json;q=0", Format.CSV),
        (b"text/html,application/xhtml+xml,*/*;q=0.8", Format.JSON),
        (b"text/csv;header=present", Format.CSV),
        (b"text/csv;q=bad, application/json;q=0.1", Format.JSON),
    ],
)
def test_the_format_that_is_liked_best_is_chosen(accept: bytes, chosen: Format) -> None:
    assert choose_format(accept) is chosen


@pytest.mark.parametrize("accept", [b"image/png", b"*/*;q=0", b"text/csv;q=0", b"\xff", b"json"])
def test_without_an_acceptable_format_the_call_is_refused(accept: bytes) -> None:
    with pytest.raises(NotAcceptable):
        choose_format(accept)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("a\r\nb", '"a\r\nb"'),
        (" a", '" a"'),
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ('=HYPERLINK("x","y")', '"\'=HYPERLINK(""x"",""y"")"'),
        ("-5", "-5"),
        ("+86.5", "+86.5"),
        ("-5+1", "'-5+1"),
        ("--5", "'--5"),
        ("中国", "中国"),
    ],
)
def test_a_text_cell_is_quoted_and_never_a_formula(text: str, cell: str) -> None:
    assert csv_rows((TEXT,), [(text,)]) == f"{cell}\r\n".encode()
    assert csv_header((column_of(text, "VARCHAR"),)) == f"{cell}\r\n".encode()


def test_numbers_stay_numbers_and_a_missing_value_is_an_empty_cell() -> None:
    columns = (INTEGER, FLOAT, DECIMAL, BOOLEAN, TEXT)
    rows = [
        (-(2**100), -0.5, "-12.50", True, "x"),
        (None, None, None, None, None),
        (0, float("inf"), "0.00", False, ""),
    ]
    assert csv_rows(columns, rows) == (
        b'-1267650600228229401496703205376,-0.5,-12.50,true,x\r\n,,,,\r\n0,,0.00,false,""\r\n'
    )


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"))), max_size=5))
def test_any_csv_reader_reads_back_the_text_but_for_the_guard(rows: list[tuple[str]]) -> None:
    body = csv_rows((TEXT,), rows).decode()
    read = [row[0] for row in csv.reader(io.StringIO(body, newline=""), strict=True)]
    assert [text.removeprefix("'") for text in read] == [text.removeprefix("'") for (text,) in rows]
    starts = {text[0] for text in read if text and not text.lstrip("+-").replace(".", "").isdigit()}
    assert not starts & set("=+-@\t\r\n＝＋－＠")


def test_json_keeps_every_digit() -> None:
    rows = [(2**100, 0.1, "12345678901234567890.12"), (None, float("nan"), None)]
    body = json_page([json_rows((INTEGER, FLOAT, DECIMAL), rows)], "next")
    assert body == (
        b'{"items":[{"n":1267650600228229401496703205376,"x":0.1,"m":"12345678901234567890.12"},'
        b'{"n":null,"x":null,"m":null}],"next_cursor":"next"}'
    )


def test_json_joins_batches_and_skips_empty_ones() -> None:
    pieces = [json_rows((INTEGER,), [(1,), (2,)]), json_rows((INTEGER,), []), b'{"n":3}']
    assert json.loads(json_page(pieces, None)) == {
        "items": [{"n": 1}, {"n": 2}, {"n": 3}],
        "next_cursor": None,
    }


def test_nested_values_are_json_inside_json_and_text_inside_csv() -> None:
    nested = column_of("l", "INTEGER[]")
    rows = [('[1,"a"]',), (None,)]
    assert json_rows((nested,), rows) == b'{"l":[1,"a"]},{"l":null}'
    assert csv_rows((nested,), rows) == b'"[1,""a""]"\r\n\r\n'
