"""Hosted rows over the real data sets: what is asked is what is answered."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import pytest

from app.metering.hosted import HostedGrant, HostedStore, QueryRefused, hosted_grant_of, parse_query
from tests.metering.hosted.files import (
    ask,
    every_item,
    grant_on,
    items,
    parquet_of,
    real_parquet,
    real_rows,
)

PARQUET = "application/vnd.apache.parquet"


def test_without_a_query_the_first_hundred_rows_come_in_the_files_order(
    store: HostedStore, gdp: HostedGrant
) -> None:
    answer = ask(store, gdp)
    page = json.loads(answer.body)
    assert page["items"] == real_rows("world_gdp")[:100]
    assert (answer.rows, answer.media_type, answer.cached) == (100, "application/json", False)
    assert answer.headers == (
        (b"content-type", b"application/json"),
        (b"content-disposition", b"attachment"),
    )


def test_rows_are_filtered_sorted_and_projected(store: HostedStore, gdp: HostedGrant) -> None:
    found = items(
        store,
        gdp,
        select="Country Name,Value",
        where="\"Country Code\" in ('CHN','JPN') and Year >= 2000",
        order="-Value,Country Name",
        limit=7,
    )
    expected = [
        {"Country Name": row["Country Name"], "Value": row["Value"]}
        for row in sorted(
            real_rows("world_gdp"), key=lambda row: (-row["Value"], row["Country Name"])
        )
        if row["Country Code"] in {"CHN", "JPN"} and row["Year"] >= 2000
    ]
    assert found == expected[:7]
    assert list(found[0]) == ["Country Name", "Value"]


@pytest.mark.parametrize("name", ["world_gdp", "world_population"])
def test_paging_through_a_whole_data_set_gives_every_row_once_and_in_order(
    name: str, store: HostedStore, tmp_path: Path
) -> None:
    grant = grant_on(real_parquet(name, tmp_path / "rows.parquet"))
    assert every_item(store, grant, limit=1000) == real_rows(name)


@pytest.mark.parametrize(
    ("query", "gap"), [({}, 1), ({"where": "third = 0"}, 3), ({"where": "n >= 0"}, 1)]
)
def test_rows_keep_the_files_order_though_two_threads_read_them_and_the_first_are_slow_to_read(
    query: dict[str, str], gap: int, store: HostedStore, tmp_path: Path
) -> None:
    file = tmp_path / "rows.parquet"
    slow = "CASE WHEN i < 4096 THEN repeat(md5(i::VARCHAR), 60) ELSE '' END"
    select = f"SELECT i AS n, i % 3 AS third, {slow} AS weight FROM range(20480) t(i)"
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({select}) TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    integers = [{"name": name, "type": "BIGINT"} for name in ("n", "third")]
    grant = grant_on([*integers, {"name": "weight", "type": "VARCHAR"}])
    found = every_item(store, grant, **query, limit=1000)
    assert [row["n"] for row in found] == list(range(0, 20480, gap))
    parquet = ask(store, grant, PARQUET, **query, limit=1000)
    (tmp_path / "out.parquet").write_bytes(parquet.body)
    with duckdb.connect(":memory:") as connection:
        out = connection.execute(f"SELECT n FROM '{tmp_path / 'out.parquet'}'").fetchall()
    assert out == [(row["n"],) for row in found[:1000]]


@pytest.mark.parametrize("limit", [1, 7, 999])
def test_paging_by_sort_keys_with_ties_gives_every_row_once(
    limit: int, store: HostedStore, gdp: HostedGrant
) -> None:
    where = "Year = 2010 and \"Country Name\" < 'C'"
    found = every_item(store, gdp, where=where, order="-Year,Country Name", limit=limit)
    expected = [
        row for row in real_rows("world_gdp") if row["Year"] == 2010 and row["Country Name"] < "C"
    ]
    assert found == sorted(expected, key=lambda row: row["Country Name"])


def test_a_page_that_ends_with_the_last_row_has_no_next(
    store: HostedStore, gdp: HostedGrant
) -> None:
    answer = ask(store, gdp, where="\"Country Code\" = 'CHN'", limit=1000)
    count = json.loads(answer.body)
    assert count["next_cursor"] is None
    exact = ask(store, gdp, where="\"Country Code\" = 'CHN'", limit=answer.rows)
    assert json.loads(exact.body) == count


def test_nothing_found_is_an_empty_page(store: HostedStore, gdp: HostedGrant) -> None:
    assert ask(store, gdp, where="Year < 0").body == b'{"items":[],"next_cursor":null}'
    assert ask(store, gdp, "text/csv", where="Year < 0", select="Year").body == b"Year\r\n"
    assert ask(store, gdp, where="Year < 0").rows == 0


def test_only_granted_columns_can_be_seen_filtered_or_sorted_by(
    store: HostedStore, gdp: HostedGrant, tmp_path: Path
) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    narrow = grant_on(schema, columns=("Year", "Country Code", "No Such"))
    assert list(items(store, narrow, limit=1)[0]) == ["Country Code", "Year"]
    for query in ({"select": "Value"}, {"where": "Value > 1"}, {"order": "Value"}):
        with pytest.raises(QueryRefused) as hidden:
            ask(store, narrow, **query)
        with pytest.raises(QueryRefused) as missing:
            ask(
                store,
                narrow,
                **{name: text.replace("Value", "Velua") for name, text in query.items()},
            )
        assert hidden.value.detail.replace("Value", "") == missing.value.detail.replace("Velua", "")


def test_a_row_filter_binds_every_query_and_may_use_columns_that_are_not_granted(
    store: HostedStore, gdp: HostedGrant
) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    bound = grant_on(
        schema, columns=("Year", "Value"), row_filter="\"Country Code\" = 'CHN' or Year = 1970"
    )
    expected = [
        {"Year": row["Year"], "Value": row["Value"]}
        for row in real_rows("world_gdp")
        if row["Country Code"] == "CHN" or row["Year"] == 1970
    ]
    assert every_item(store, bound, limit=100) == expected
    assert every_item(store, bound, where="Year > 1900 or Year < 1900", limit=1000) == expected


def test_a_row_filter_that_cannot_be_read_is_no_grant(gdp: HostedGrant) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    with pytest.raises(QueryRefused):
        grant_on(schema, row_filter="Year >")


def test_a_grant_without_a_file_opens_nothing() -> None:
    with pytest.raises(ValueError, match="no file"):
        hosted_grant_of(type("Grant", (), {"file": None})())  # type: ignore[arg-type]  # only this member is read


INJECTIONS = [
    "1=1",
    "Year = 2000; DROP TABLE page",
    "Year = 2000 -- x",
    "Year = 2000 /* x */",
    "Year = (select 1)",
    "Year = 2000 union select 1",
    "Year in (select 1)",
    "read_csv('/etc/passwd')",
    '"Year\' = 1" = 2',
    '"Year"")" = 2000',
    "Year = 2000 or 'a'='a'",
    "Year = $1",
    "Year = ?",
    "Year::text = '2000'",
    "t.Year = 2000",
    "file_row_number = 1",
    "Year = 2000\\",
    "getvariable('x') = 1",
]


@pytest.mark.parametrize("where", INJECTIONS)
def test_what_is_not_of_the_grammar_is_refused_before_any_sql(where: str, gdp: HostedGrant) -> None:
    with pytest.raises(QueryRefused):
        parse_query(urlencode({"where": where}).encode(), gdp.columns)


@pytest.mark.parametrize(
    "text",
    [
        "x' OR '1'='1",
        "'; DROP TABLE page; --",
        "$1",
        "?",
        "\\'",
        '"',
        "%",
        "a\u2019b",
        "{0}",
        "\\x27",
    ],
)
@pytest.mark.parametrize("operation", ["= {}", "!= {}", "in ({})", "like {}", "contains {}"])
def test_text_that_looks_like_sql_is_only_text(
    operation: str, text: str, store: HostedStore, tmp_path: Path
) -> None:
    rows = ["plain", text]
    schema = parquet_of(
        "SELECT unnest(["
        + ", ".join("'" + row.replace("'", "''") + "'" for row in rows)
        + "]) AS v",
        tmp_path / "rows.parquet",
    )
    quoted = "'" + text.replace("'", "''") + "'"
    found = [
        row["v"] for row in items(store, grant_on(schema), where="v " + operation.format(quoted))
    ]
    if operation == "!= {}":
        assert found == ["plain"]
    elif operation == "like {}" and text == "%":
        assert found == rows
    else:
        assert found == [text]


@pytest.mark.parametrize(
    "name", ["a b", 'q"q', "x'; --", "c0", "k0", "r", "t", "select", "年份", "a,b", "page"]
)
def test_a_column_may_have_any_name(name: str, store: HostedStore, tmp_path: Path) -> None:
    identifier = '"' + name.replace('"', '""') + '"'
    schema = parquet_of(
        f"SELECT unnest([3, 1, 2]) AS {identifier}, unnest(['z', 'x', 'y']) AS other",
        tmp_path / "rows.parquet",
    )
    grant = grant_on(schema)
    query = {
        "select": f"{identifier},other",
        "where": f"{identifier} < 3",
        "order": f"-{identifier}",
    }
    assert items(store, grant, **query, limit=1) == [{name: 2, "other": "y"}]
    assert [row[name] for row in every_item(store, grant, **query, limit=1)] == [2, 1]
    parquet = ask(store, grant, PARQUET, **query)
    (tmp_path / "out.parquet").write_bytes(parquet.body)
    with duckdb.connect(":memory:") as connection:
        out = connection.execute(f"SELECT * FROM '{tmp_path / 'out.parquet'}'")
        assert [column[0] for column in out.description] == [name, "other"]
        assert out.fetchall() == [(2, "y"), (1, "x")]


@pytest.mark.parametrize(
    "column",
    ["big", "dec", "f32", "f64", "text", "day", "ts", "ns", "clock", "moment", "yes", "uuid"],
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_paging_by_a_column_of_any_type_with_ties_and_gaps_gives_every_row_once(
    sign: str, column: str, store: HostedStore, tmp_path: Path
) -> None:
    schema = parquet_of(
        "SELECT n, CASE WHEN n % 5 > 0 THEN v END AS big, (big / 3)::DECIMAL(18,6) AS dec, "
        "(big * 0.1)::FLOAT AS f32, "
        "CASE n WHEN 3 THEN 'nan'::DOUBLE ELSE big * 0.1::DOUBLE END AS f64, "
        "'t' || big AS text, DATE '2026-01-01' + big::INTEGER AS day, "
        "TIMESTAMP '2026-01-01' + to_milliseconds(big) AS ts, "
        "make_timestamp_ns(1767225600000000000 + big) AS ns, "
        "TIME '08:00' + to_minutes(big) AS clock, "
        "TIMESTAMPTZ '2026-01-01 00:00+00' + to_microseconds(big) AS moment, big > 2 AS yes, "
        "('00000000-0000-0000-0000-00000000000' || big)::UUID AS uuid "
        "FROM (SELECT unnest(range(20)) AS n, n * 7 % 6 AS v)",
        tmp_path / "rows.parquet",
    )
    grant = grant_on(schema)
    order = f"{sign}{column}"
    whole = items(store, grant, order=order, limit=1000)
    assert sorted(row["n"] for row in whole) == list(range(20))
    assert every_item(store, grant, order=order, limit=3) == whole
    values = [row[column] for row in whole]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (20 - len(known))
