"""Hosted rows delivered: formats, watermarks, sizes, and files that are not there."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import duckdb
import pytest

from app.metering.hosted import HostedGrant, HostedStore
from app.metering.hosted import pages as pages_module
from app.metering.hosted.errors import AnswerTooLarge, FileAway, NotAcceptable
from tests.metering.hosted.files import CONTRACT, ask, grant_on, parquet_of, real_rows

PARQUET = "application/vnd.apache.parquet"


def test_every_type_of_column_comes_out_exactly(store: HostedStore, tmp_path: Path) -> None:
    schema = parquet_of(
        "SELECT 9223372036854775807::BIGINT AS big, 18446744073709551615::UBIGINT AS ubig, "
        "12345678901234567890123456789.123456789::DECIMAL(38,9) AS dec, 0.1::FLOAT AS f32, "
        "0.1::DOUBLE AS f64, 'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS inf, 'é中\"\\' AS text, "
        "DATE '2026-01-31' AS day, TIMESTAMP '2026-01-31 08:30:00.123456' AS ts, "
        "TIMESTAMP_NS '2026-01-31 08:30:00.123456789' AS ns, TIME '08:30:00' AS clock, "
        "TIMESTAMPTZ '2026-01-31 08:30:00+08' AS moment, true AS yes, NULL::INTEGER AS nothing, "
        "'ab'::BLOB AS raw, [1, NULL] AS list, {'a': DATE '2026-01-31'} AS nested, "
        "UUID '00000000-0000-0000-0000-000000000001' AS uuid, INTERVAL 3 DAY AS span",
        tmp_path / "rows.parquet",
    )
    answer = ask(store, grant_on(schema))
    assert json.loads(answer.body)["items"] == [
        {
            "big": 9223372036854775807,
            "ubig": 18446744073709551615,
            "dec": "12345678901234567890123456789.123456789",
            "f32": 0.1,
            "f64": 0.1,
            "nan": None,
            "inf": None,
            "text": 'é中"\\',
            "day": "2026-01-31",
            "ts": "2026-01-31T08:30:00.123456",
            "ns": "2026-01-31T08:30:00.123456789",
            "clock": "08:30:00",
            "moment": "2026-01-31T00:30:00Z",
            "yes": True,
            "nothing": None,
            "raw": "YWI=",
            "list": [1, None],
            "nested": {"a": "2026-01-31"},
            "uuid": "00000000-0000-0000-0000-000000000001",
            "span": "3 days",
        }
    ]
    lines = ask(store, grant_on(schema), "text/csv").body.decode().split("\r\n")
    assert next(csv.reader([lines[1]])) == [
        "9223372036854775807", "18446744073709551615", "12345678901234567890123456789.123456789",
        "0.1", "0.1", "", "", 'é中"\\', "2026-01-31", "2026-01-31T08:30:00.123456",
        "2026-01-31T08:30:00.123456789", "08:30:00", "2026-01-31T00:30:00Z", "true", "", "YWI=",
        "[1,null]", '{"a":"2026-01-31"}', "00000000-0000-0000-0000-000000000001", "3 days",
    ]  # fmt: skip


def test_csv_names_the_contract_in_its_file_name_and_links_to_the_next_page(
    store: HostedStore, gdp: HostedGrant
) -> None:
    answer = ask(store, gdp, "text/csv", order="Year", limit=2)
    headers = dict(answer.headers)
    assert headers[b"content-type"] == b"text/csv; charset=utf-8; header=present"
    disposition = f'attachment; filename="world-gdp-{CONTRACT}.csv"'
    assert headers[b"content-disposition"] == disposition.encode()
    target, _, relation = headers[b"link"].partition(b">; ")
    assert relation == b'rel="next"'
    following = asyncio.run(store.serve(gdp, target.removeprefix(b"<?"), b"text/csv"))
    both = ask(store, gdp, "text/csv", order="Year", limit=4).body.decode()
    second = following.body.decode().split("\r\n", 1)[1]
    assert answer.body.decode() + second == both
    rows = list(csv.DictReader(io.StringIO(both)))
    assert list(rows[0]) == ["Country Name", "Country Code", "Year", "Value"]
    assert b"link" not in dict(ask(store, gdp, "text/csv", where="Year < 0").headers)


def test_parquet_carries_the_contract_as_its_watermark_and_its_columns_in_their_types(
    store: HostedStore, gdp: HostedGrant, tmp_path: Path
) -> None:
    answer = ask(store, gdp, PARQUET, where="Year = 2001", order="-Value", limit=10)
    assert (answer.rows, answer.media_type) == (10, PARQUET)
    out = tmp_path / "out.parquet"
    out.write_bytes(answer.body)
    with duckdb.connect(":memory:") as connection:
        marks = connection.execute(
            f"SELECT key, value FROM parquet_kv_metadata('{out}')"
        ).fetchall()
        assert (b"contract", CONTRACT.encode()) in marks
        types = connection.execute(f"DESCRIBE SELECT * FROM '{out}'").fetchall()
        assert [row[:2] for row in types] == [(c.name, c.type) for c in gdp.columns]
        values = connection.execute(f"SELECT \"Value\" FROM '{out}'").fetchall()
    expected = sorted(
        (r["Value"] for r in real_rows("world_gdp") if r["Year"] == 2001), reverse=True
    )
    assert [value for (value,) in values] == expected[:10]
    following = dict(answer.headers)[b"link"].partition(b">")[0].removeprefix(b"<?")
    out.write_bytes(asyncio.run(store.serve(gdp, following, PARQUET.encode())).body)
    with duckdb.connect(":memory:") as connection:
        values = connection.execute(f"SELECT \"Value\" FROM '{out}'").fetchall()
    assert [value for (value,) in values] == expected[10:20]


def test_an_empty_parquet_page_still_has_its_columns(
    store: HostedStore, gdp: HostedGrant, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(ask(store, gdp, PARQUET, where="Year < 0", select="Year").body)
    with duckdb.connect(":memory:") as connection:
        assert connection.execute(f"SELECT * FROM '{out}'").fetchall() == []


def test_nothing_is_left_in_the_scratch_folder(store: HostedStore, gdp: HostedGrant) -> None:
    ask(store, gdp, PARQUET)
    scratch = store._engine.scratch
    assert list(scratch.iterdir()) == []
    store.close()
    assert not scratch.exists()


def test_a_format_that_is_not_offered_is_refused(store: HostedStore, gdp: HostedGrant) -> None:
    with pytest.raises(NotAcceptable) as refused:
        ask(store, gdp, "image/png")
    assert refused.value.status == 406


@pytest.mark.parametrize("path", ["missing.parquet", "../outside.parquet", "/etc/passwd", "."])
def test_a_file_that_is_not_below_the_root_is_away(
    path: str, store: HostedStore, gdp: HostedGrant, tmp_path: Path
) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    parquet_of("SELECT 1 AS Year", tmp_path.parent / "outside.parquet")
    with pytest.raises(FileAway) as failed:
        ask(store, grant_on(schema, path))
    assert failed.value.status == 503


def test_a_broken_file_is_away_and_never_kept(
    store: HostedStore, gdp: HostedGrant, tmp_path: Path
) -> None:
    file = tmp_path / "rows.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    for accept in ("", "text/csv", PARQUET):
        with pytest.raises(FileAway):
            ask(store, gdp, accept)
    file.write_bytes(whole)
    assert ask(store, gdp).rows == 100


@pytest.mark.parametrize("accept", ["", "text/csv", PARQUET])
def test_an_answer_that_would_be_too_large_is_refused(
    accept: str, store: HostedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_module, "ANSWER_MAX_BYTES", 100_000)
    schema = parquet_of(
        "SELECT md5(i || 'a') || md5(i || 'b') || md5(i || 'c') || md5(i || 'd') AS v "
        "FROM range(2000) a(i)",
        tmp_path / "rows.parquet",
    )
    grant = grant_on(schema)
    assert ask(store, grant, accept, limit=10).rows == 10
    with pytest.raises(AnswerTooLarge):
        ask(store, grant, accept, limit=1000, select="v", where="v contains 'a'", order="v")
    wide = parquet_of("SELECT repeat('x', 200_000) AS v", tmp_path / "wide.parquet")
    if accept != PARQUET:
        with pytest.raises(AnswerTooLarge):
            ask(store, grant_on(wide, "wide.parquet"), accept)
