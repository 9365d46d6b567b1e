"""An export holds the events themselves, in their order, for whoever may see them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from httpx import Response

from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from app.metering.tables import usage_report, usage_window
from app.metering.usage import exporting
from app.metering.usage.sums import UsageFilter
from tests.conftest import Api, Caller
from tests.metering.calling import call_on
from tests.metering.grant_documents import BUYER, PROVIDER, local_us, quota
from tests.metering.store import give, settle, take_back

PATH = "/api/v1/usage/export"
PARQUET = "application/vnd.apache.parquet"


@pytest.fixture
def used(installation: Installation) -> Installation:
    """Two contracts with another buyer each; a call taken back, and one from a report."""
    one = give(installation, windows=[quota("contract", 100)])
    two = give(installation, "grt_two", buyer_id="org_second", listing_id="lst_two", meter="row")
    first, *_ = settle(
        installation,
        call_on(one, local_us("2026-11-01 23:59:59"), units=2),
        call_on(one, local_us("2026-11-02 00:00:00"), units=3),
        call_on(one, local_us("2026-12-01 00:00:00"), units=4),
        call_on(two, local_us("2026-11-02 08:00:00"), units=50),
    )
    take_back(installation, first.event_id, local_us("2026-12-01 08:00:00"))
    report = {"source": '=cmd|" /C calc"!A0', "source_id": "-1", "occurred_at_us": 1_000_000}
    report |= {"counts_at_us": local_us("2026-11-02 08:00:00")}
    with installation.usage_transaction() as connection:
        connection.execute(
            sa.insert(usage_report).values(
                grant_id="grt_two", number=1, provider_id=PROVIDER, **report
            )
        )
    return installation


def reader(api: Api, organisation: str, *roles: str) -> Caller:
    return api.as_client(organisation, "usage:read", roles=roles)


def cells(answer: Response) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def numbers(answer: Response) -> list[tuple[str, int]]:
    return [(row["grant_id"], int(row["number"])) for row in cells(answer)]


def test_both_sides_and_the_auditor_get_the_same_file_and_strangers_an_empty_one(
    api: Api, used: Installation
) -> None:
    mine = [("grt_one", 1), ("grt_one", 2), ("grt_one", 3), ("grt_one", 4)]
    assert numbers(reader(api, BUYER).get(PATH)) == mine
    everything = reader(api, PROVIDER).get(PATH)
    assert numbers(everything) == [*mine, ("grt_two", 1)]
    assert reader(api, "org_auditor", "auditor").get(PATH).content == everything.content
    assert numbers(reader(api, "org_stranger").get(f"{PATH}?contract_id=ctr_of_grt_one")) == []
    assert api.as_client(BUYER, "data:read").get(PATH).status_code == 403
    assert api.anonymous().get(PATH).status_code == 401


def test_an_export_is_of_a_contract_a_listing_or_some_days(api: Api, used: Installation) -> None:
    provider = reader(api, PROVIDER)
    assert numbers(provider.get(f"{PATH}?listing_id=lst_two")) == [("grt_two", 1)]
    assert len(numbers(provider.get(f"{PATH}?contract_id=ctr_of_grt_one"))) == 4
    second = f"{PATH}?first_on=2026-11-02&last_on=2026-11-30"
    assert numbers(provider.get(second)) == [("grt_one", 2), ("grt_two", 1)]
    assert numbers(provider.get(f"{PATH}?last_on=2026-11-01")) == [("grt_one", 1)]
    assert numbers(provider.get(f"{PATH}?first_on=2026-12-01")) == [("grt_one", 3), ("grt_one", 4)]
    assert numbers(provider.get(f"{PATH}?first_on=2026-12-02")) == []
    assert provider.get(f"{PATH}?first_on=9999-12-31").status_code == 422


def test_the_sum_of_an_export_is_the_counter(api: Api, used: Installation) -> None:
    rows = cells(reader(api, BUYER).get(PATH))
    with used.usage_transaction(writes=False) as connection:
        counter = connection.execute(
            sa.select(usage_window.c.used_units).where(usage_window.c.grant_id == "grt_one")
        ).scalar_one()
    assert sum(int(row["net_units"]) for row in rows) == counter == 7
    assert rows[3]["net_units"] == "-2", "a negative number is a number"
    assert rows[3]["voids"] == "1"
    assert (rows[0]["settled_at"], rows[0]["voids"]) == ("2026-11-01T15:59:59.000000Z", "")


def test_no_cell_of_an_export_is_a_formula(api: Api, used: Installation) -> None:
    answer = reader(api, PROVIDER).get(f"{PATH}?listing_id=lst_two")
    assert answer.text.endswith("\r\n")
    (row,) = cells(answer)
    assert row["reported_source"] == '\'=cmd|" /C calc"!A0'
    assert row["reported_id"] == "-1"
    assert row["occurred_at"] == "1970-01-01T00:00:01.000000Z"


def parquet(answer: Response, tmp_path: Any) -> tuple[list[Any], dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == PARQUET
    file = tmp_path / f"{new_id('job')}.parquet"
    file.write_bytes(answer.content)
    found = duckdb.sql(f"SELECT * FROM '{file}'")
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    return found.fetchall(), types


def test_a_parquet_file_has_the_same_rows_each_column_as_what_it_is(
    api: Api, used: Installation, tmp_path: Any
) -> None:
    provider = reader(api, PROVIDER)
    rows, types = parquet(provider.get(PATH, headers={"Accept": PARQUET}), tmp_path)
    assert list(types) == [column.name for column in exporting.COLUMNS]
    assert {types[name] for name in ("number", "voids", "net_units", "status")} == {"BIGINT"}
    assert types["settled_at"] == types["occurred_at"] == "TIMESTAMP WITH TIME ZONE"
    found = [dict(zip(types, row, strict=True)) for row in rows]
    for of_file, of_csv in zip(found, cells(provider.get(PATH)), strict=True):
        assert of_file["event_id"] == of_csv["event_id"]
        assert of_file["net_units"] == int(of_csv["net_units"])
        assert of_file["settled_at"] == datetime.fromisoformat(of_csv["settled_at"])
    assert found[4]["reported_source"] == '=cmd|" /C calc"!A0', "no spreadsheet, no apostrophe"
    assert found[4]["occurred_at"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    empty, same = parquet(
        provider.get(f"{PATH}?first_on=2027-01-01", headers={"Accept": PARQUET}), tmp_path
    )
    assert (empty, same) == ([], types)
    assert [path for path in used.settings.home.iterdir() if "export" in path.name] == []


@pytest.mark.parametrize("name", ["usage.csv", "usage.parquet"])
def test_the_operator_writes_the_same_to_a_file(
    api: Api, used: Installation, tmp_path: Any, name: str
) -> None:
    file = tmp_path / name
    wanted = UsageFilter(listing_id="lst_one")
    assert exporting.export_to(file, used, OPERATOR, wanted) == 4
    found = duckdb.sql(f"SELECT number, net_units FROM '{file}'").fetchall()
    assert found == [(1, 2), (2, 3), (3, 4), (4, -2)]
    assert sorted(path.name for path in tmp_path.iterdir() if "usage" in path.name) == [name]


@pytest.mark.parametrize(
    ("accept", "status"),
    [("*/*", 200), ("text/*;q=0.5, image/png", 200), ("application/json", 406)],
)
def test_a_file_is_csv_or_parquet(api: Api, used: Installation, accept: str, status: int) -> None:
    answer = reader(api, BUYER).get(PATH, headers={"Accept": accept})
    assert answer.status_code == status


def test_a_long_export_comes_in_pieces_and_holds_what_was_there_when_it_began(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 2)
    grant = give(installation)
    settle(installation, *(call_on(grant) for _ in range(5)))
    batches = exporting.exported_rows(installation, OPERATOR, UsageFilter())
    sizes = [len(next(batches))]
    settle(installation, call_on(grant))
    sizes += [len(rows) for rows in batches]
    assert sizes == [2, 2, 1]


def test_a_parquet_file_has_a_bound(
    api: Api, used: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PARQUET_MAX_EVENTS", 3)
    answer = reader(api, BUYER).get(PATH, headers={"Accept": PARQUET})
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:zhigu:problem:export-too-large",
    )
    assert len(cells(reader(api, BUYER).get(PATH))) == 4
    assert [path for path in used.settings.home.iterdir() if "export" in path.name] == []
