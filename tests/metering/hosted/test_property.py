"""The rows that a query finds are the rows that a plain Python filter finds (hypothesis)."""

from __future__ import annotations

import asyncio
import json
import math
import operator
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.listings.conditions.columns import columns_of
from app.listings.conditions.expressions import parse_expression
from app.listings.conditions.meeting import meets
from app.metering.hosted import HostedStore
from tests.metering.hosted.files import ask, every_item, grant_on

# A condition as text, and as a function from a row to true, false or unknown (None).
Truth = bool | None
Condition = tuple[str, Callable[[dict[str, Any]], Truth]]

TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "%",
    "_",
    "a_b",
    "é",
    "e\u0301",
    "中国",
    "'",
    "''",
    '"',
    "\\",
    "😀",
    "=1",
    " ",
]
NUMBERS = [-(2**63), -1, 0, 1, 7, 2**53 + 1, 2**63 - 1]
FLOATS = [-1e300, -1.5, -0.0, 0.0, 0.1, 1e-7, 2.5, 1e16, 1e300, math.nan]
DECIMALS = [
    Decimal(text)
    for text in ("-999999999999.99", "-0.01", "0.00", "0.10", "12.50", "999999999999.99")
]
DATES = [date(1, 1, 1), date(1969, 12, 31), date(2024, 2, 29), date(9999, 12, 31)]
MOMENTS = [
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(2026, 1, 31, 8, 30),
    datetime(2026, 1, 31),
]

VALUES: dict[str, list[Any]] = {
    "n": NUMBERS,
    "x": FLOATS,
    "m": DECIMALS,
    "s": TEXTS,
    "b": [True, False],
    "d": DATES,
    "ts": MOMENTS,
    "tz": MOMENTS,
}
SQL_TYPES = {"n": "BIGINT", "x": "DOUBLE", "m": "DECIMAL(14,2)", "s": "VARCHAR", "b": "BOOLEAN"} | {
    "d": "DATE",
    "ts": "TIMESTAMP",
    "tz": "TIMESTAMP WITH TIME ZONE",
}
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def written(column: str, value: Any) -> str:
    """`value` as a literal of the grammar."""
    if column == "b":
        return "true" if value else "false"
    if column in {"n", "x", "m"}:
        return repr(value) if isinstance(value, float) else str(value)
    if column == "s":
        return "'" + value.replace("'", "''") + "'"
    return f"'{value.isoformat()}{'Z' if column == 'tz' else ''}'"


def literals(column: str) -> st.SearchStrategy[Any]:
    near = st.sampled_from([v for v in VALUES[column] if known(v) is not None])
    other: dict[str, st.SearchStrategy[Any]] = {
        "n": st.integers(-(10**37), 10**37),
        "x": st.floats(allow_nan=False, allow_infinity=False),
        "m": st.decimals(-(10**12), 10**12, places=4),
        "s": st.text(
            st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=5
        ),
        "d": st.dates(),
        "ts": st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
        "tz": st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
    }
    return near | other.get(column, near)


@st.composite
def comparisons(draw: st.DrawFn) -> Condition:
    column = draw(st.sampled_from(list(VALUES)))
    sign = draw(st.sampled_from(["=", "!="] if column == "b" else list(SIGNS)))
    value = draw(literals(column))
    compare = SIGNS[sign]
    spelled = {"=": draw(st.sampled_from(["=", "=="])), "!=": draw(st.sampled_from(["!=", "<>"]))}

    def holds(row: dict[str, Any]) -> Truth:
        return None if row[column] is None else compare(row[column], value)

    return f"{column} {spelled.get(sign, sign)} {written(column, value)}", holds


@st.composite
def memberships(draw: st.DrawFn) -> Condition:
    column = draw(st.sampled_from(list(VALUES)))
    values = draw(st.lists(literals(column), min_size=1, max_size=4))
    negated = draw(st.booleans())

    def holds(row: dict[str, Any]) -> Truth:
        return None if row[column] is None else (row[column] in values) is not negated

    inside = ",".join(written(column, value) for value in values)
    return f"{column} {'not in' if negated else 'IN'} ({inside})", holds


@st.composite
def matches(draw: st.DrawFn) -> Condition:
    operation = draw(st.sampled_from(["like", "contains"]))
    pattern = "".join(draw(st.lists(st.sampled_from([*TEXTS, "%", "_"]), max_size=3)))
    negated = draw(st.booleans())
    if operation == "contains":
        found = lambda text: pattern in text  # noqa: E731  one of two ways
    else:
        parts = {"%": ".*", "_": "."}
        expression = re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)
        found = lambda text: expression.fullmatch(text) is not None  # noqa: E731  the other

    def holds(row: dict[str, Any]) -> Truth:
        return None if row["s"] is None else found(row["s"]) is not negated

    return f"s {'not ' * negated}{operation} {written('s', pattern)}", holds


@st.composite
def absences(draw: st.DrawFn) -> Condition:
    column = draw(st.sampled_from(list(VALUES)))
    negated = draw(st.booleans())
    text = f'"{column}" Is {"Not " * negated}Null'
    return text, lambda row: (row[column] is None) is not negated


def joined(word: str, parts: list[Condition]) -> Condition:
    def holds(row: dict[str, Any]) -> Truth:
        truths = [part(row) for _, part in parts]
        decisive = word == "or"
        if decisive in truths:
            return decisive
        return None if None in truths else not decisive

    return f" {word} ".join(f"({text})" for text, _ in parts), holds


def negated(part: Condition) -> Condition:
    def holds(row: dict[str, Any]) -> Truth:
        truth = part[1](row)
        return None if truth is None else not truth

    return f"not ({part[0]})", holds


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    comparisons() | memberships() | matches() | absences(),
    lambda inner: (
        st.builds(joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3))
        | inner.map(negated)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def table() -> Iterator[tuple[HostedStore, list[dict[str, Any]], list[dict[str, str]]]]:
    """A store with rows that hold every awkward value, each column with gaps and repeats."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for at in range(200):
            row: dict[str, Any] = {"id": at}
            for position, (column, values) in enumerate(VALUES.items()):
                choice = (at * 7 + position * 13 + at // 11) % (len(values) + 1)
                row[column] = values[choice] if choice < len(values) else None
            rows.append(row)
        with duckdb.connect(":memory:") as connection:
            columns = ", ".join(f'"{name}" {kind}' for name, kind in SQL_TYPES.items())
            connection.execute(f"CREATE TABLE v (id INTEGER, {columns})")
            for row in rows:
                stored = dict(row)
                if stored["tz"] is not None:
                    stored["tz"] = stored["tz"].replace(tzinfo=UTC)
                slots = ", ".join("?" for _ in stored)
                connection.execute(f"INSERT INTO v VALUES ({slots})", list(stored.values()))
            connection.execute(
                f"COPY v TO '{folder}/rows.parquet' (FORMAT parquet, ROW_GROUP_SIZE 50)"
            )
        schema = [{"name": name, "type": kind} for name, kind in SQL_TYPES.items()]
        store = HostedStore(Path(folder))
        clean = [{name: known(value) for name, value in row.items()} for row in rows]
        yield store, clean, [{"name": "id", "type": "INTEGER"}, *schema]
        store.close()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS)
def test_a_condition_finds_the_rows_that_python_finds(table: Any, condition: Condition) -> None:
    store, rows, schema = table
    text, holds = condition
    raw = f"select=id&limit=1000&where={quote(text)}".encode()
    answer = asyncio.run(store.serve(grant_on(schema), raw, b""))
    found = [int(n) for n in re.findall(rb'"id":(\d+)', answer.body)]
    assert found == [row["id"] for row in rows if holds(row) is True]
    assert answer.rows == len(found)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS)
def test_a_sample_shows_the_rows_that_meet_the_condition(table: Any, condition: Condition) -> None:
    _, rows, schema = table
    text, holds = condition
    expression = parse_expression(text, columns_of(schema))
    for row in rows:
        assert meets(expression, sampled(row)) == (holds(row) is True)


def sampled(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a sample keeps it: numbers as JSON has them, everything else as DuckDB's text."""
    kept = dict(row)
    for name, suffix in (("m", ""), ("d", ""), ("ts", ""), ("tz", "+00")):
        if row[name] is not None:
            kept[name] = f"{row[name]}{suffix}"
    return kept


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS)
def test_a_row_filter_finds_the_rows_that_python_finds(table: Any, condition: Condition) -> None:
    store, rows, schema = table
    text, holds = condition
    grant = grant_on(schema, columns=("id",), row_filter=text)
    found = [row["id"] for row in every_item(store, grant, limit=1000)]
    assert found == [row["id"] for row in rows if holds(row) is True]


ORDERS = st.lists(
    st.tuples(st.sampled_from(list(VALUES)), st.booleans()),
    min_size=1,
    max_size=4,
    unique_by=lambda key: key[0],
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=ORDERS, limit=st.integers(20, 150))
def test_paging_in_any_order_gives_the_rows_as_python_sorts_them(
    table: Any, order: list[tuple[str, bool]], limit: int
) -> None:
    store, rows, schema = table
    expected = list(rows)
    for column, descending in reversed(order):
        present = [row for row in expected if row[column] is not None]
        present.sort(key=operator.itemgetter(column), reverse=descending)  # keeps equals in place
        expected = present + [row for row in expected if row[column] is None]
    text = ",".join(f"{'-' * descending}{column}" for column, descending in order)
    found = every_item(store, grant_on(schema), select="id", order=text, limit=limit)
    assert [row["id"] for row in found] == [row["id"] for row in expected]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(licensed=CONDITIONS, asked=CONDITIONS, order=ORDERS, limit=st.integers(1, 60))
def test_no_query_order_cursor_or_kept_answer_reaches_a_row_outside_the_filter(
    table: Any, licensed: Condition, asked: Condition, order: list[tuple[str, bool]], limit: int
) -> None:
    store, rows, schema = table
    text, holds = licensed
    allowed = {row["id"] for row in rows if holds(row) is True}
    sorted_by = ",".join(f"{'-' * descending}{column}" for column, descending in order)
    query = {"where": asked[0], "order": sorted_by, "limit": limit}
    # Somebody whose contract opens every row asks first: their answer is kept, and their cursor
    # leads into the middle of rows that the other contract does not open.
    theirs = json.loads(ask(store, grant_on(schema), **query).body)
    narrow = grant_on(schema, row_filter=text)
    found = every_item(store, narrow, **query)
    if theirs["next_cursor"] is not None:
        found += every_item(store, narrow, **query, cursor=theirs["next_cursor"])
    assert {row["id"] for row in found} <= allowed
    assert {row["id"] for row in every_item(store, narrow, limit=1000)} == allowed
