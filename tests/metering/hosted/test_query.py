"""Reading a query: what is understood, and where exactly what is not goes wrong."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.listings.conditions.columns import Column, Kind, column_of
from app.listings.conditions.errors import QueryRefused
from app.listings.conditions.expressions import (
    Absence,
    Comparison,
    Every,
    Likeness,
    Membership,
    Negation,
    Some,
    parse_expression,
)
from app.metering.hosted.cursors import Place, write_cursor
from app.metering.hosted.query import HostedQuery, OrderKey, link_to_next, parse_query

N = column_of("n", "BIGINT")
M = column_of("m", "DECIMAL(14,2)")
X = column_of("x", "DOUBLE")
S = column_of("s", "VARCHAR")
B = column_of("b", "BOOLEAN")
D = column_of("d", "DATE")
T = column_of("t", "TIME")
TS = column_of("ts", "TIMESTAMP")
TZ = column_of("tz", "TIMESTAMP WITH TIME ZONE")
RAW = column_of("raw", "BLOB")
ODD = column_of("Country Name", "VARCHAR")
YEAR = column_of("年份", "INTEGER")
COLUMNS = (N, M, X, S, B, D, T, TS, TZ, RAW, ODD, YEAR)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("n=1", Comparison(N, "=", 1)),
        ("n == -1", Comparison(N, "=", -1)),
        ("n<>+1", Comparison(N, "!=", 1)),
        ("n >= 1e3", Comparison(N, ">=", 1000)),
        ("m = .5", Comparison(M, "=", Decimal("0.5"))),
        ("x < 1.5e-3", Comparison(X, "<", 0.0015)),
        ("s = 'it''s'", Comparison(S, "=", "it's")),
        ("s=''", Comparison(S, "=", "")),
        ("b != TRUE", Comparison(B, "!=", True)),
        ("d = '2026-01-31'", Comparison(D, "=", date(2026, 1, 31))),
        ("t < '08:30'", Comparison(T, "<", time(8, 30))),
        ("ts = '2026-01-31'", Comparison(TS, "=", datetime(2026, 1, 31))),
        ("ts < '2026-01-31 08:30:00'", Comparison(TS, "<", datetime(2026, 1, 31, 8, 30))),
        ("t = '08:30:00.5'", Comparison(T, "=", time(8, 30, 0, 500_000))),
        ("tz = '2026-01-31T08:30:00Z'", Comparison(TZ, "=", datetime(2026, 1, 31, 8, 30))),
        ("tz = '2026-01-31T08:30:00+08:00'", Comparison(TZ, "=", datetime(2026, 1, 31, 0, 30))),
        ("\"Country Name\" like 'C%'", Likeness(ODD, "C%")),
        ("年份 > 2000", Comparison(YEAR, ">", 2000)),
        ("n in (1, 2)", Membership(N, (1, 2))),
        ("n NOT IN (1)", Negation(Membership(N, (1,)))),
        ("raw is null", Absence(RAW)),
        ("n is not null", Negation(Absence(N))),
        ("not n = 1", Negation(Comparison(N, "=", 1))),
        (
            "n = 1 or n = 2 and n = 3",
            Some((Comparison(N, "=", 1), Every((Comparison(N, "=", 2), Comparison(N, "=", 3))))),
        ),
        (
            "(n = 1 or n = 2) and not n = 3",
            Every(
                (
                    Some((Comparison(N, "=", 1), Comparison(N, "=", 2))),
                    Negation(Comparison(N, "=", 3)),
                )
            ),
        ),
    ],
)
def test_a_condition_is_read_into_a_tree(text: str, expression: object) -> None:
    assert parse_expression(text, COLUMNS) == expression


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("   ", 3),
        ("n", 1),
        ("n =", 3),
        ("n = ", 4),
        ("= 1", 0),
        ("1 = n", 0),
        ("'n' = 1", 0),
        ("n = 1 2", 6),
        ("n = 1 and", 9),
        ("n = 1 or or n = 2", 9),
        ("and n = 1", 0),
        ("not", 3),
        ("(n = 1", 6),
        ("n = 1)", 5),
        ("()", 1),
        ("n in ()", 6),
        ("n in 1", 5),
        ("n in (1,)", 8),
        ("n in (1 2)", 8),
        ("n not = 1", 6),
        ("n is 1", 5),
        ("n is not 1", 9),
        ("n = null", 4),
        ("null is null", 0),
        ("nope = 1", 0),
        ("N = 1", 0),
        ("n = s", 4),
        ("n = '1'", 4),
        ("n = true", 4),
        ("n = 1.5", 4),
        ("n = 1e39", 4),
        ("n = " + "9" * 39, 4),
        ("n = 1e999999999", 4),
        ("m = 1e-39", 4),
        ("m = 1e-999999999", 4),
        ("x = 1e400", 4),
        ("x = 'nan'", 4),
        ("n = 1_000", 4),
        ("n = 0x10", 4),
        ("n = 1a", 4),
        ("n = 1.2.3", 4),
        ("n = --1", 4),
        ("s = 1", 4),
        ("s = x", 4),
        ("s = 'open", 4),
        ("s = 'a' 'b'", 8),
        ('"open = 1', 0),
        ('"" = 1', 0),
        ("s like 1", 7),
        ("n like '1'", 7),
        ("n contains '1'", 11),
        ("s like '" + "%" * 257 + "'", 7),
        ("b > true", 2),
        ("b = 1", 4),
        ("b = 'true'", 4),
        ("d = '2026-02-30'", 4),
        ("d = '2026-1-1'", 4),
        ("d = '20260101'", 4),
        ("d = '２026-01-01'", 4),
        ("d = 'infinity'", 4),
        ("t = '24:30'", 4),
        ("ts = '2026-01-31T08:30:00Z'", 5),
        ("tz = '2026-01-31T08:30:00'", 5),
        ("tz = '2026-01-31'", 5),
        ("tz = '0001-01-01T00:00:00+08:00'", 5),
        ("raw = 'ab'", 6),
        ("raw in ('ab')", 8),
        ("n = 1; n = 2", 5),
        ("n = 1 -- x", 6),
        ("n + 1 = 2", 2),
        ("f(n) = 1", 0),
        ("n = (1)", 4),
        ("(" * 40 + "n = 1" + ")" * 40, 33),
        ("not " * 40 + "n = 1", 132),
        ("n = 1" + " or n = 1" * 600, 5000),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_at_its_place(text: str, position: int) -> None:
    with pytest.raises(QueryRefused) as refused:
        parse_expression(text, COLUMNS)
    assert (refused.value.status, refused.value.slug) == (400, "query-refused")
    assert refused.value.parameter == "where"
    assert refused.value.facts == {"parameter": "where", "position": refused.value.position}
    if position < 5000:
        assert refused.value.position == position


def refusal_of(text: str) -> QueryRefused | None:
    try:
        parse_expression(text, COLUMNS)
    except QueryRefused as refused:
        return refused
    return None


@given(st.text(st.sampled_from("ns =<>!()',\"1.-+eEand or not in like is null中\t"), max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    refused = refusal_of(text)
    assert refused is None or 0 <= refused.position <= len(text)


def test_an_empty_query_asks_for_the_first_hundred_rows_of_all_granted_columns() -> None:
    assert parse_query(b"", COLUMNS) == HostedQuery(COLUMNS, None, (), 100, None)
    assert parse_query(b"&&", COLUMNS) == HostedQuery(COLUMNS, None, (), 100, None)


def test_every_part_of_a_query_is_read() -> None:
    raw = b"select=s,+Country%20Name,%22n%22&where=n%3E=1+and+s='%E4%B8%AD'&order=-n,s&limit=7"
    assert parse_query(raw, COLUMNS) == HostedQuery(
        (S, ODD, N),
        Every((Comparison(N, ">=", 1), Comparison(S, "=", "中"))),
        (OrderKey(N, True), OrderKey(S)),
        7,
    )


def test_a_condition_may_be_written_as_people_write_it_in_a_url() -> None:
    raw = b"where=n>=2000%20and%20s='CHN'"
    assert parse_query(raw, COLUMNS).where == Every(
        (Comparison(N, ">=", 2000), Comparison(S, "=", "CHN"))
    )


def test_names_with_signs_are_quoted() -> None:
    odd = [Column(name, "BIGINT", Kind.INTEGER) for name in ("a,b", "-c", 'd"e', " f")]
    raw = "select=" + quote('"a,b","-c","d""e"," f"') + "&order=" + quote('-"-c","a,b"')
    query = parse_query(raw.encode(), odd)
    assert query.select == tuple(odd)
    assert query.order == (OrderKey(odd[1], True), OrderKey(odd[0]))


@pytest.mark.parametrize(
    ("raw", "parameter", "position"),
    [
        ("limit=0", "limit", 0),
        ("limit=1001", "limit", 0),
        ("limit=-1", "limit", 0),
        ("limit=1.0", "limit", 0),
        ("limit=１", "limit", 0),
        ("limit=", "limit", 0),
        ("limit=99999999999999999999", "limit", 0),
        ("select=", "select", 0),
        ("select=n,", "select", 2),
        ("select=,n", "select", 0),
        ("select=*", "select", 0),
        ("select=n,nope", "select", 2),
        ("select=n,n", "select", 2),
        ("select=-n", "select", 0),
        ("select=count(*)", "select", 0),
        ('select="n', "select", 0),
        ('select="n"s', "select", 0),
        ("order=n desc", "order", 0),
        ("order=raw", "order", 0),
        ("order=--n", "order", 0),
        ("order=-", "order", 0),
        ("order=n,-n", "order", 2),
        ("order=n,m,x,s,b,d,t,ts,tz", "order", 0),
        ("where=", "where", 0),
        ("where=n%3D1%00", "where", 3),
        ("where=s='a%0Ab'", "where", 4),
        ("where=s='%FF'", "where", 3),
        ("where=s='%C3'", "where", 3),
        ("where=s='%ED%A0%80'", "where", 3),
        ("nope=1", "query", 0),
        ("Select=n", "query", 0),
        ("select", "select", 0),
        ("where=n=1&where=n=2", "where", 0),
        ("cursor=x", "cursor", 0),
        ("cursor=", "cursor", 0),
        ("cursor=中", "cursor", 0),
        ("cursor=W10", "cursor", 0),
        ("where=" + "x" * 8_000, "query", 0),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_by_parameter_and_place(
    raw: str, parameter: str, position: int
) -> None:
    with pytest.raises(QueryRefused) as refused:
        parse_query(quote(raw, safe="=&%,*-+()'\"").encode(), COLUMNS)
    assert (refused.value.parameter, refused.value.position) == (parameter, position)


def test_a_cursor_belongs_to_one_condition_and_order_but_to_any_selection_and_limit() -> None:
    query = parse_query(b"where=n=1&order=s", COLUMNS)
    cursor = write_cursor(Place(7, ("x",)), query.fingerprint())
    for raw in ("where=n=1&order=s", "where=n+%3D+1&order=s&limit=3&select=n"):
        assert parse_query(f"{raw}&cursor={cursor}".encode(), COLUMNS).after == Place(7, ("x",))
    for raw in ("where=n=2&order=s", "order=s", "where=n=1", "where=n=1&order=-s"):
        with pytest.raises(QueryRefused) as refused:
            parse_query(f"{raw}&cursor={cursor}".encode(), COLUMNS)
        assert refused.value.parameter == "cursor"


@pytest.mark.parametrize("row", [-1, 2**62 + 1, 2**64])
def test_a_cursor_with_an_impossible_row_is_refused(row: int) -> None:
    cursor = write_cursor(Place(row), parse_query(b"", COLUMNS).fingerprint())
    with pytest.raises(QueryRefused):
        parse_query(f"cursor={cursor}".encode(), COLUMNS)


def test_a_cursor_that_no_url_could_carry_is_not_written() -> None:
    with pytest.raises(QueryRefused) as refused:
        write_cursor(Place(1, ("x" * 5_000,)), "0" * 16)
    assert refused.value.parameter == "order"


def test_the_link_to_the_next_page_keeps_the_query_and_cannot_break_out_of_its_quotes() -> None:
    assert link_to_next(b"where=n>1&cursor=old&limit=2", "new") == (
        b'<?where=n%3E1&limit=2&cursor=new>; rel="next"'
    )
    assert link_to_next(b"", "new") == b'<?cursor=new>; rel="next"'


@pytest.mark.parametrize(
    ("type_name", "kind", "sql"),
    [
        ("BIGINT", Kind.INTEGER, "BIGINT"),
        ("uinteger", Kind.INTEGER, "UINTEGER"),
        ("DECIMAL(10, 2)", Kind.DECIMAL, "DECIMAL(10,2)"),
        ("DECIMAL", Kind.DECIMAL, "DECIMAL(18,3)"),
        ("DECIMAL(99,2)", Kind.OTHER, "VARCHAR"),
        ("timestamp  with time zone", Kind.MOMENT, "TIMESTAMP WITH TIME ZONE"),
        ("INTEGER[]", Kind.NESTED, "JSON"),
        ("STRUCT(a INTEGER)", Kind.NESTED, "JSON"),
        ("INTERVAL", Kind.OTHER, "VARCHAR"),
        ("BIGINT); DROP TABLE x; --", Kind.OTHER, "VARCHAR"),
    ],
)
def test_a_type_is_known_or_stands_for_text_and_never_goes_into_sql_as_it_is(
    type_name: str, kind: Kind, sql: str
) -> None:
    assert column_of("c", type_name) == Column("c", sql, kind)
