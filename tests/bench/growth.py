"""What a call costs as grants and events grow, and what an idle grant takes of memory."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.metering.gateway.admission import GrantBook
from app.metering.grants import compiled_from
from tests.bench.inprocess import Counted, call_us, counted, give, open_gateway, run, scope_of
from tests.bench.load import ROUNDS
from tests.bench.report import Bar, Line
from tests.bench.serving import ENGINES
from tests.metering.grant_documents import grant_document, quota

FLAT = Bar(1.1, at_most=True)
GRANTS = 10_000
# Ten million, as the bar says, take minutes and 4 GB on each engine: `make bench EVENTS=10000000`.
EVENTS = int(os.environ.get("EVENTS", "1000000"))
EVENT_GRANTS = 100
IDLE_BAR_BYTES = Bar(2048, at_most=True)
ONE = "org_0"

Side = tuple[Counted, Sequence[Mapping[str, Any]]]
"""Where calls are made, and which."""


def grants_lines() -> Iterator[Line]:
    """A call on one grant where 10,000 are known, and on all of them in turn, / where one is."""
    names = [f"org_{number}" for number in range(GRANTS)]
    for engine in ENGINES:
        with counted(engine) as few, counted(engine) as many:
            give(few.installation, [ONE])
            give(many.installation, names)
            one, all_of_them = [scope_of(ONE)], [scope_of(name) for name in names]
            # 10,000 calls to begin with, so that every grant has been called.
            taken = compare(
                {"few": (few, one), "many": (many, one), "in turn": (many, all_of_them)}
            )
        name = f"CPU of a call, {engine}"
        yield Line(f"{name}, {GRANTS:,} grants / 1, µs", taken["many"], taken["few"], FLAT, ".1f")
        # In a batch of calls on one grant its rows are read and written once; here once a call.
        told = f"{name}, on {GRANTS:,} grants in turn / on 1, µs"
        yield Line(told, taken["in turn"], taken["few"], None, ".1f")


def events_lines() -> Iterator[Line]:
    """A call where the store holds many events, the called grant's among them, / where none."""
    for engine in ENGINES:
        with counted(engine) as empty, counted(engine) as full:
            for each in (empty, full):
                give(each.installation, [f"org_{number}" for number in range(EVENT_GRANTS)])
            _fill(full, engine)
            scopes = [scope_of(ONE)]
            taken = compare({"empty": (empty, scopes), "full": (full, scopes)})
        name = f"CPU of a call, {engine}, {EVENTS:,} events in the store / none, µs"
        yield Line(name, taken["full"], taken["empty"], FLAT, ".1f")


def memory_lines() -> Iterator[Line]:
    """What each of 10,000 grants more adds to a process that knows 10,000."""
    book = GrantBook()
    tracemalloc.start()
    taken = []
    for part in range(2):
        before = _traced_bytes()
        for number in range(part * GRANTS, (part + 1) * GRANTS):
            # As out of a store: each grant with objects of its own.
            book.put(compiled_from(json.loads(_document(number))))
        taken.append((_traced_bytes() - before) / GRANTS)
    tracemalloc.stop()
    yield Line("memory of an idle grant, bytes", taken[1:], bar=IDLE_BAR_BYTES)


def _document(number: int) -> str:
    """A grant on one of a hundred listings, with ids as long as real ones."""
    version = number % 100
    columns = [{"name": f"column {place}", "type": "VARCHAR"} for place in range(8)]
    document = grant_document(
        f"grt_{number:026}",
        contract_id=f"ctr_{number:026}",
        buyer_id=f"org_{number:026}",
        terms_sha256=f"{number:064}",
        provider_id=f"org_{version:026}",
        version_id=f"ver_{version:026}",
        slug=f"listing-number-{version}",
        windows=[quota("day", 5), quota("month", 50)],
        rate={"per_second": 10, "burst": 20},
        file={"path": f"{version}.parquet", "rows": 1, "sha256": "0" * 64, "columns": columns},
    )
    return json.dumps(document)


def compare(sides: Mapping[str, Side]) -> dict[str, list[float]]:
    """The CPU of a call on each side in microseconds, interleaved, after a round to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in sides}

    async def story() -> None:
        gateways = {store: open_gateway(store.installation) for store, _ in sides.values()}
        for gateway in gateways.values():
            await gateway.start()
        for number in range(ROUNDS + 1):
            for name, (store, scopes) in sides.items():
                while not gateways[store].watcher.is_current:
                    await asyncio.sleep(0.05)
                found_us = await call_us(gateways[store], scopes, store.cpu_s)
                if number:
                    taken[name].append(found_us)
        for gateway in gateways.values():
            await gateway.stop()

    run(story())
    return taken


def _fill(store: Counted, engine: str) -> None:
    """Write `EVENTS` events of this month, evenly over the grants that there are."""
    began_s = time.monotonic()
    each = EVENTS // EVENT_GRANTS
    numbers = (
        f"generate_series(1, {each}) AS n(n)"
        if engine == "postgres"
        else f"(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {each})"
        " SELECT n FROM n) AS n"
    )
    first_us = store.installation.clock.now_us() - each
    with store.installation.usage_transaction() as connection:
        connection.execute(sa.text(FILL.format(numbers=numbers)), {"first": first_us})
        connection.execute(sa.text(MOVE), {"number": each, "at": first_us + each})
    if engine == "postgres":
        with store.installation.usage.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text("VACUUM ANALYZE usage_event"))
            connection.execute(sa.text("CHECKPOINT"))
    print(
        f"{EVENTS:,} events, {engine}: {time.monotonic() - began_s:.0f} s to write",
        file=sys.stderr,
        flush=True,
    )


FILL = """
INSERT INTO usage_event (grant_id, number, event_id, epoch, kind, settled_at_us, meter, units,
  granted_units, operation, status, bytes, request_sha256)
SELECT s.grant_id, n.n, 'evt_' || s.grant_id || '_' || n.n, 1, 'posted', :first + n.n, 'call', 1,
  0, 'rows', 200, 400, '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'
FROM grant_state s CROSS JOIN {numbers} ORDER BY s.grant_id, n.n"""
MOVE = "UPDATE grant_state SET last_number = :number, last_settled_at_us = :at"


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
