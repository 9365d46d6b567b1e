"""Uploaded tables become Parquet with the same values, or are refused with a reason."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.listings.datafiles import duck, reading
from app.listings.datafiles.converting import Converted, convert
from app.listings.datafiles.formats import SourceFormat
from app.listings.errors import FileRefused

REAL = Path(__file__).parents[2] / "data" / "real"
CSV, JSONL, PARQUET = SourceFormat.CSV, SourceFormat.JSON_LINES, SourceFormat.PARQUET


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., Converted]:
    def run(content: bytes, source_format: SourceFormat = CSV) -> Converted:
        source = tmp_path / "o'source"  # a quote in the path must not matter
        source.write_bytes(content)
        return convert(source, source_format, tmp_path / "target.parquet")

    return run


def rows_of(table: Converted) -> list[Any]:
    relation = duckdb.read_parquet(str(table.path))
    return relation.fetchall()


def types_of(table: Converted) -> dict[str, str]:
    return {column["name"]: column["type"] for column in table.columns}


def made(tmp_path: Path, query: str) -> bytes:
    path = tmp_path / "made.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "rows", "total"),
    [("world_gdp.csv", 13_979, None), ("world_population.csv", 17_195, None)],
)
def test_a_real_table_keeps_every_row_and_value(
    converted: Callable[..., Converted], name: str, rows: int, total: None
) -> None:
    content = (REAL / name).read_bytes()
    table = converted(content)
    lines = content.decode().splitlines()
    assert table.rows == len(lines) - 1
    assert types_of(table) == {
        "Country Name": "VARCHAR",
        "Country Code": "VARCHAR",
        "Year": "BIGINT",
        "Value": "DOUBLE" if "gdp" in name else "BIGINT",
    }
    assert table.sha256 == hashlib.sha256(content).hexdigest()
    assert table.size_bytes == len(content)
    assert table.parquet_sha256 == hashlib.sha256(table.path.read_bytes()).hexdigest()
    assert table.parquet_size_bytes == table.path.stat().st_size
    first = lines[1].split(",")
    assert rows_of(table)[0] == (first[0], first[1], int(first[2]), float(first[3]))
    assert len(table.sample) == 10


def test_rows_keep_their_order(converted: Callable[..., Converted]) -> None:
    content = "n\n" + "".join(f"{n}\n" for n in range(300_000))
    assert [row[0] for row in rows_of(converted(content.encode()))] == list(range(300_000))


TYPES: list[tuple[str, str, str]] = [
    ("1", "-5", "BIGINT"),
    ("9223372036854775807", "0", "BIGINT"),
    ("9223372036854775808", "0", "VARCHAR"),
    ("007", "1", "VARCHAR"),
    ("+1", "1", "VARCHAR"),
    (" 1", "1", "VARCHAR"),
    ("-0", "1", "DOUBLE"),
    ("1.50", "2", "DOUBLE"),
    ("1e3", "2", "DOUBLE"),
    ("1e400", "2", "VARCHAR"),
    ("nan", "1", "VARCHAR"),
    ("inf", "1", "VARCHAR"),
    ("0.1234567890123456789", "1", "VARCHAR"),
    ("12345678901234567890", "1.5", "VARCHAR"),
    ("1_000", "1", "VARCHAR"),
    ("0x10", "1", "VARCHAR"),
    ("1,5", "1", "VARCHAR"),
    ("true", "false", "BOOLEAN"),
    ("True", "false", "VARCHAR"),
    ("t", "f", "VARCHAR"),
    ("2026-01-31", "1960-02-29", "DATE"),
    ("2026-02-30", "2026-01-01", "VARCHAR"),
    ("2026-1-1", "2026-01-01", "VARCHAR"),
    ("2026-01-01 10:00:00", "2026-01-01T10:00:00.5", "TIMESTAMP"),
    ("2026-01-01T10:00:00Z", "2026-01-01 10:00:00+08:00", "TIMESTAMP WITH TIME ZONE"),
    ("2026-01-01 25:00:00", "2026-01-01 10:00:00", "VARCHAR"),
    ("10:00", "11:00", "VARCHAR"),
    ("", "", "VARCHAR"),
    ("5", "", "BIGINT"),
    ("北京", "x", "VARCHAR"),
]


@pytest.mark.parametrize(("one", "other", "type_name"), TYPES)
def test_a_type_is_chosen_only_when_no_text_is_lost(
    converted: Callable[..., Converted], one: str, other: str, type_name: str
) -> None:
    quoted = [f'"{text}"' if "," in text else text for text in (one, other)]
    table = converted(f"a,b\n{quoted[0]},x\n{quoted[1]},x\n".encode())
    assert types_of(table)["a"] == type_name
    if type_name == "VARCHAR":
        assert [row[0] for row in rows_of(table)] == [one or None, other or None]


def test_one_odd_value_far_down_keeps_the_column_text(
    converted: Callable[..., Converted],
) -> None:
    content = "code\n" + "1\n" * 100_000 + "0012\n"
    table = converted(content.encode())
    assert types_of(table) == {"code": "VARCHAR"}
    assert rows_of(table)[-1] == ("0012",)


def test_csv_quotes_line_breaks_and_byte_order_mark_are_understood(
    converted: Callable[..., Converted],
) -> None:
    content = '\ufeff"名,称",b\r\n"x ""y""\r\nz",\r\n#no comment,"  "\r\n'
    table = converted(content.encode())
    assert list(types_of(table)) == ["名,称", "b"]
    assert rows_of(table) == [('x "y"\r\nz', None), ("#no comment", "  ")]


def test_a_table_without_rows_is_a_table(converted: Callable[..., Converted]) -> None:
    table = converted(b"a,b\n")
    assert (table.rows, table.sample) == (0, [])
    assert types_of(table) == {"a": "VARCHAR", "b": "VARCHAR"}


BAD_CSV: list[tuple[bytes, str]] = [
    (b"", "empty"),
    (b"\n", "csv"),
    (b"a,b\n1\n", "csv"),
    (b"a,b\n1,2,3\n", "csv"),
    (b'a,b\n1,"2\n3,4\n', "csv"),
    (b'a,b\n1,"x"y\n', "csv"),
    (b"a,b\n1,x\0y\n", "nul"),
    (b"\0\0\0\0", "nul"),
    (b"a,b\n1,\xff\xfe\n", "utf-8"),
    ("省,市\n重庆,南岸\n".encode("gb18030"), "utf-8"),
    ("a\nü".encode()[:-1], "utf-8"),
    (b"\xff\xfea\x00,\x00b\x00", "nul"),
    (b"a,a\n1,2\n", "column-names"),
    (b"a,A\n1,2\n", "column-names"),
    (b"a,\n1,2\n", "column-names"),
    (b"a,  \n1,2\n", "column-names"),
    (b"a,b\x07\n1,2\n", "column-names"),
    ("a,b\u202e\n1,2\n".encode(), "column-names"),
    (b"a,filename\n1,2\n", "column-names"),
    (b"a,File_Row_Number\n1,2\n", "column-names"),
    (b"a," + b"x" * 129 + b"\n1,2\n", "column-names"),
    (b'"a\nb",c\n1,2\n', "csv"),
    (b'"a,b\n1,2\n', "csv"),
    (b",".join(b"c%d" % n for n in range(1001)) + b"\n", "columns"),
    (b"a" * 1_000_001, "csv"),
    (b"a,b\n1," + b"x" * 1_100_000 + b"\n", "csv"),
    (b"PAR1 is the name of this column\n1\n", "format"),
]


@pytest.mark.parametrize(("content", "rule"), BAD_CSV, ids=lambda value: repr(value)[:40])
def test_what_is_not_a_csv_table_is_refused(
    converted: Callable[..., Converted], content: bytes, rule: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        converted(content)
    assert refused.value.facts["rule"] == rule
    assert "source" not in refused.value.detail, "our paths are nobody's business"


def test_a_broken_line_is_named(converted: Callable[..., Converted]) -> None:
    with pytest.raises(FileRefused, match="Line 3") as refused:
        converted(b"a,b\n1,2\n3\n")
    assert refused.value.facts["line"] == 3


def test_json_lines_become_a_table(converted: Callable[..., Converted]) -> None:
    content = (
        b'{"id":1,"name":"x","at":"2026-01-01","ok":true,"n":1.5,"code":"007","mix":1,"big":1}\n'
        b"\n"
        b'{"name":null,"id":2,"late":"z","ok":false,"n":2,"mix":"a","big":99999999999999999999}\n'
    )
    table = converted(content, JSONL)
    assert types_of(table) == {
        "id": "BIGINT",
        "name": "VARCHAR",
        "at": "DATE",
        "ok": "BOOLEAN",
        "n": "DOUBLE",
        "code": "VARCHAR",
        "mix": "VARCHAR",
        "big": "VARCHAR",
        "late": "VARCHAR",
    }
    first, second = table.sample
    assert first["id"] == 1
    assert first["ok"] is True
    assert (first["code"], first["mix"], first["late"]) == ("007", "1", None)
    assert (second["name"], second["at"], second["mix"]) == (None, None, "a")
    assert second["big"] == "99999999999999999999"


BAD_JSONL: list[tuple[bytes, str]] = [
    (b"", "empty"),
    (b"\n\n", "empty"),
    (b'[{"a":1}]\n', "jsonl"),
    (b"1\n2\n", "jsonl"),
    (b'{"a":1}\n5\n', "jsonl"),
    (b'{"a":1}\n[1]\n', "jsonl"),
    (b'{"a":1}\n{"a":\n', "jsonl"),
    (b'{"a":1} x\n', "jsonl"),
    (b'{"a":1}{"a":2}\n', "jsonl"),
    (b'{\n"a":1\n}\n', "jsonl"),
    (b'{"a":"\\ud800"}\n', "jsonl"),
    (b'{"a":1,"a":2}\n', "jsonl"),
    (b'{"a":1}\n{"b":1,"b":2}\n', "jsonl"),
    (b'{"a":1,"A":2}\n', "column-names"),
    (b'{"":1}\n', "column-names"),
    (b"{}\n", "columns"),
    (b'{"a":{"b":1}}\n', "nested"),
    (b'{"a":[1]}\n', "nested"),
    (b'{"a":1}\n{"a":[]}\n', "nested"),
    (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n", "nested"),
    (b'{"a":"' + b"x" * 5_000_000 + b'"}\n', "value"),
    (b"a,b\n1,2\n", "jsonl"),
    (b'{"a":1}\n\xff\n', "utf-8"),
]


@pytest.mark.parametrize(("content", "rule"), BAD_JSONL, ids=lambda value: repr(value)[:40])
def test_what_is_not_a_table_of_json_lines_is_refused(
    converted: Callable[..., Converted], content: bytes, rule: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        converted(content, JSONL)
    assert refused.value.facts["rule"] == rule
    assert "source" not in refused.value.detail


def test_parquet_keeps_its_types_and_values(
    converted: Callable[..., Converted], tmp_path: Path
) -> None:
    query = (
        "SELECT range AS n, 'x' || range AS t, 1.50::DECIMAL(10,2) AS d, DATE '2026-01-01' AS day,"
        " true AS ok, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS at, 'ab'::BLOB AS raw FROM range(5)"
    )
    table = converted(made(tmp_path, query), PARQUET)
    assert types_of(table) == {
        "n": "BIGINT",
        "t": "VARCHAR",
        "d": "DECIMAL(10,2)",
        "day": "DATE",
        "ok": "BOOLEAN",
        "at": "TIMESTAMP WITH TIME ZONE",
        "raw": "BLOB",
    }
    assert [row[0] for row in rows_of(table)] == [0, 1, 2, 3, 4]
    assert table.sample[0]["d"] == "1.50"
    assert table.sample[0]["day"] == "2026-01-01"


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("SELECT [1, 2] AS a", "nested"),
        ("SELECT {'k': 1} AS a", "nested"),
        ("SELECT MAP {'k': 1} AS a", "nested"),
        ("SELECT INTERVAL 1 DAY AS a", "nested"),
        ("SELECT 1 AS file_row_number", "column-names"),
        ('SELECT 1 AS "a\tb"', "column-names"),
    ],
)
def test_parquet_that_is_not_a_plain_table_is_refused(
    converted: Callable[..., Converted], tmp_path: Path, query: str, rule: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        converted(made(tmp_path, query), PARQUET)
    assert refused.value.facts["rule"] == rule


@pytest.mark.parametrize(
    "content",
    [b"PAR1", b"PAR1PAR1", b"PAR1" + b"\0" * 99 + b"PAR1", b"PAR1" + b"\xff" * 99 + b"PAR1"],
)
def test_parquet_by_name_only_is_refused(
    converted: Callable[..., Converted], content: bytes
) -> None:
    with pytest.raises(FileRefused):
        converted(content, PARQUET)
    with pytest.raises(FileRefused):
        converted(b"a,b\n1,2\n", PARQUET)


def test_damaged_parquet_is_read_or_refused_and_nothing_else(
    converted: Callable[..., Converted], tmp_path: Path
) -> None:
    whole = made(tmp_path, "SELECT range AS n, 'text ' || range AS t FROM range(1000)")
    dice = random.Random(7)
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(4, len(damaged))] = dice.randrange(256)
        try:
            outcomes.add(type(converted(bytes(damaged), PARQUET)))
        except FileRefused:
            outcomes.add(FileRefused)
    assert FileRefused in outcomes
    assert outcomes <= {Converted, FileRefused}


def test_a_file_that_unpacks_to_too_much_is_refused(
    converted: Callable[..., Converted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = made(tmp_path, "SELECT 'x' AS a FROM range(200000)")
    monkeypatch.setattr(reading, "ROWS_MAX", 199_999)
    with pytest.raises(FileRefused, match="unpacks"):
        converted(content, PARQUET)


def test_a_row_group_that_does_not_fit_into_memory_is_refused(
    converted: Callable[..., Converted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duck, "MEMORY_MAX", "8MB")
    content = made(tmp_path, "SELECT repeat('x', 3000000) || range AS a FROM range(20)")
    with pytest.raises(FileRefused, match="too large"):
        converted(content, PARQUET)


def test_reading_stops_when_its_time_is_up(
    converted: Callable[..., Converted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duck, "TIME_MAX_S", 0.0)
    with pytest.raises(FileRefused, match="too long"):
        converted(b"a\n" + b"some text to look at\n" * 2_000_000)
