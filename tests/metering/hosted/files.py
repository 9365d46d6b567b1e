"""Parquet files of versions, and grants on them."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from app.metering.grants import CompiledGrant
from app.metering.hosted import HostedAnswer, HostedGrant, HostedStore, hosted_grant_of

REAL = Path(__file__).parents[2] / "data" / "real"
CONTRACT = "ctr_01k0000000000000000000000a"


def parquet_of(select: str, target: Path) -> list[dict[str, str]]:
    """Write the rows of a SELECT to `target` and give back its schema as a grant describes it."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({select}) TO '{target}' (FORMAT parquet)")
        described = connection.execute(f"DESCRIBE SELECT * FROM '{target}'").fetchall()
    return [{"name": row[0], "type": row[1]} for row in described]


def real_parquet(name: str, target: Path) -> list[dict[str, str]]:
    return parquet_of(f"SELECT * FROM read_csv('{REAL / name}.csv')", target)


def real_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a data set as Python reads them."""
    with (REAL / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [
            row | {"Year": int(row["Year"]), "Value": float(row["Value"])}
            for row in csv.DictReader(file)
        ]


def grant_on(
    schema: list[dict[str, str]],
    path: str = "rows.parquet",
    *,
    columns: tuple[str, ...] | None = None,
    row_filter: str | None = None,
    contract_id: str = CONTRACT,
    version_id: str = "ver_01k0000000000000000000000a",
    file_name: str | None = None,
) -> HostedGrant:
    named = {} if file_name is None else {"name": file_name}
    return hosted_grant_of(
        CompiledGrant(
            grant_id="grt_01k0000000000000000000000a",
            contract_id=contract_id,
            listing_id="lst_01k0000000000000000000000a",
            slug="world-gdp",
            version_id=version_id,
            buyer_id="org_01k0000000000000000000000b",
            provider_id="org_01k0000000000000000000000a",
            plan_id="pln_01k0000000000000000000000a",
            terms_sha256="0" * 64,
            epoch=1,
            live=True,
            starts_at_us=0,
            ends_at_us=1,
            delivery="hosted",
            purpose="RESEARCH",
            purposes_allowed=("RESEARCH",),
            channels_allowed=("hosted",),
            columns=columns,
            row_filter=row_filter,
            file={"path": path, "rows": 0, "sha256": "", "columns": schema, **named},
        )
    )


def ask(
    store: HostedStore, grant: HostedGrant, accept: str = "", /, **query: object
) -> HostedAnswer:
    return asyncio.run(store.serve(grant, urlencode(query).encode(), accept.encode()))


def items(store: HostedStore, grant: HostedGrant, /, **query: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask(store, grant, **query).body)["items"]
    return found


def every_item(store: HostedStore, grant: HostedGrant, /, **query: object) -> list[dict[str, Any]]:
    """All rows, page after page."""
    found: list[dict[str, Any]] = []
    while True:
        page = json.loads(ask(store, grant, **query).body)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]
