"""Answers are kept by what they depend on, and by nothing less."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.metering.hosted import HostedAnswer, HostedGrant, HostedStore
from app.metering.hosted import pages as pages_module
from app.metering.hosted import store as store_module
from tests.metering.hosted.files import CONTRACT, ask, grant_on, parquet_of

PARQUET = "application/vnd.apache.parquet"
OTHER = "ctr_01k0000000000000000000000b"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine was really asked to make."""
    made: list[str] = []

    def counting(name: str) -> None:
        original = getattr(pages_module, name)

        def wrapped(*arguments: Any) -> Any:
            made.append(name)
            return original(*arguments)

        monkeypatch.setattr(store_module, name, wrapped)

    counting("text_page")
    counting("parquet_page")
    return made


@pytest.mark.parametrize("accept", ["", "text/csv", PARQUET])
def test_the_same_request_again_is_answered_from_memory(
    accept: str, store: HostedStore, gdp: HostedGrant, runs: list[str]
) -> None:
    first = ask(store, gdp, accept, limit=3)
    again = ask(store, gdp, accept, limit=3)
    assert (first.cached, again.cached) == (False, True)
    assert again._replace(cached=False) == first
    assert len(runs) == 1


def test_a_request_written_another_way_shares_the_page(
    store: HostedStore, gdp: HostedGrant, runs: list[str]
) -> None:
    first = ask(store, gdp, where="Year = 2000 and Value > 1", limit=3)
    again = ask(store, gdp, "application/json", limit="003", where="Year==2000  and  Value>1.0")
    assert again.cached
    assert again.body == first.body
    assert len(runs) == 1


def test_recalling_never_runs_a_query(store: HostedStore, gdp: HostedGrant) -> None:
    assert store.recall(gdp, b"limit=3", b"") is None
    answer = ask(store, gdp, limit=3)
    recalled = store.recall(gdp, b"limit=3", b"")
    assert recalled == answer._replace(cached=True)
    assert store.recall(gdp, b"limit=3", b"text/csv") is None
    assert store.recall(gdp, b"limit=4", b"") is None


def test_grants_that_see_other_rows_or_columns_or_versions_never_share(
    store: HostedStore, gdp: HostedGrant, runs: list[str]
) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    grants = [
        gdp,
        grant_on(schema, columns=("Year",)),
        grant_on(schema, row_filter="Year = 2001"),
        grant_on(schema, version_id="ver_01k0000000000000000000000b"),
    ]
    bodies = [ask(store, grant, limit=1).body for grant in grants]
    assert len(runs) == 4
    assert len({grant.view for grant in grants}) == 4
    assert len(set(bodies[:3])) == 3
    for grant, body in zip(grants, bodies, strict=True):
        recalled = store.recall(grant, b"limit=1", b"")
        assert recalled is not None
        assert recalled.body == body


def test_two_contracts_on_the_same_view_share_rows_but_never_a_watermark(
    store: HostedStore, gdp: HostedGrant, runs: list[str], tmp_path: Path
) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    other = grant_on(schema, contract_id=OTHER)
    ask(store, gdp, PARQUET, limit=1)
    assert store.recall(other, b"limit=1", PARQUET.encode()) is None
    runs.clear()
    body = ask(store, gdp, limit=1).body
    recalled = store.recall(other, b"limit=1", b"")
    assert recalled is not None
    assert recalled.body == body
    assert runs == ["text_page"]
    for grant, contract in ((gdp, CONTRACT), (other, OTHER), (gdp, CONTRACT), (other, OTHER)):
        file = tmp_path / "out.parquet"
        file.write_bytes(ask(store, grant, PARQUET, limit=1).body)
        with duckdb.connect(":memory:") as connection:
            found = connection.execute(f"SELECT key, value FROM parquet_kv_metadata('{file}')")
            assert dict(found.fetchall())[b"contract"] == contract.encode()
        for accept in ("text/csv", PARQUET):
            disposition = dict(ask(store, grant, accept, limit=1).headers)[b"content-disposition"]
            assert contract.encode() in disposition
    assert runs.count("parquet_page") == 1


def test_equal_queries_at_once_run_once(
    store: HostedStore, gdp: HostedGrant, runs: list[str]
) -> None:
    async def play() -> list[HostedAnswer]:
        calls = [store.serve(gdp, b"where=Year=2001", b"") for _ in range(20)]
        return await asyncio.gather(*calls)

    answers = asyncio.run(play())
    assert len({answer.body for answer in answers}) == 1
    assert runs == ["text_page"]


def test_a_buyer_who_hangs_up_does_not_spoil_the_page_for_the_others(
    store: HostedStore, gdp: HostedGrant, runs: list[str]
) -> None:
    async def play() -> HostedAnswer:
        first = asyncio.create_task(store.serve(gdp, b"where=Year=2001", b""))
        second = asyncio.create_task(store.serve(gdp, b"where=Year=2001", b""))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(play()).rows == 100
    assert runs == ["text_page"]


def test_an_answer_too_large_to_keep_is_still_given(tmp_path: Path) -> None:
    store = HostedStore(tmp_path, cache_max_bytes=100_000)
    grant = grant_on(parquet_of("SELECT repeat('x', 50_000) AS v", tmp_path / "rows.parquet"))
    try:
        assert [ask(store, grant).cached for _ in range(2)] == [False, False]
        assert len(json.loads(ask(store, grant).body)["items"][0]["v"]) == 50_000
    finally:
        store.close()


def test_a_view_does_not_depend_on_the_contract(gdp: HostedGrant) -> None:
    schema = [{"name": c.name, "type": c.type} for c in gdp.columns]
    assert grant_on(schema, contract_id=OTHER).view == gdp.view
    assert replace(gdp, contract_id=OTHER) != gdp
