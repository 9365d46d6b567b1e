"""Reading: how DuckDB is asked about a table, and what it may reach meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from app.listings.datafiles import duck, reading
from app.listings.datafiles.formats import SourceFormat
from app.listings.errors import FileRefused

CSV, JSONL = SourceFormat.CSV, SourceFormat.JSON_LINES


class Told:
    """A connection that remembers what it was told."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.statements: list[str] = []
        self._connection = connection

    def execute(self, statement: str) -> duckdb.DuckDBPyConnection:
        self.statements.append(statement)
        return self._connection.execute(statement)


@pytest.mark.parametrize("source_format", [CSV, JSONL])
def test_a_wide_table_is_looked_at_in_stretches_that_duckdb_can_plan(
    tmp_path: Path, source_format: SourceFormat
) -> None:
    names = [f"c{number}" for number in range(120)]
    values = [("1", "x", "2026-11-25")[number % 3] for number in range(120)]
    source = tmp_path / "wide"
    if source_format is CSV:
        source.write_text(f"{','.join(names)}\n{','.join(values)}\n")
    else:
        row = {name: int(v) if v == "1" else v for name, v in zip(names, values, strict=True)}
        source.write_text(json.dumps(row) + "\n")
    with duck.closed_database(source) as connection:
        told = Told(connection)
        relation = reading.relation_of(cast("Any", told), source, source_format)
    # 720 checks in one statement took seconds, those of 1,000 columns all memory of the machine.
    assert max(statement.count("bool_and(") for statement in told.statements) <= 150
    assert [column.name for column in relation.columns] == names
    assert {column.type for column in relation.columns[0::3]} == {"BIGINT"}
    assert {column.type for column in relation.columns[1::3]} == {"VARCHAR"}
    assert {column.type for column in relation.columns[2::3]} == {"DATE"}


def test_the_database_reaches_its_file_and_nothing_else(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.csv", tmp_path / "other.csv"
    for path in (mine, other):
        path.write_text("a\n1\n")
    with duck.closed_database(mine) as connection:
        assert connection.execute("SELECT * FROM read_csv(?)", [str(mine)]).fetchall() == [(1,)]
    for statement in (
        f"SELECT * FROM read_csv('{other}')",
        "SELECT * FROM read_text('/etc/hostname')",
        f"COPY (SELECT 1) TO '{tmp_path / 'new.csv'}'",
        f"ATTACH '{tmp_path / 'new.db'}'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
    ):
        with pytest.raises(FileRefused), duck.closed_database(mine) as connection:
            connection.execute(statement)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "other.csv"]
