"""Calls for files: what comes, and what of it is counted."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from typing import Any

import duckdb
import pytest

from app.db.installation import Installation
from tests.metering.gateway_client import ROWS, Caller, check_problem, events, give, play, table
from tests.metering.grant_documents import quota

FILES = "/data/world-gdp/files"
CSV = f"{FILES}/GDP%20of%20%E4%B8%96%E7%95%8C.csv"
PARQUET = f"{FILES}/GDP%20of%20%E4%B8%96%E7%95%8C.parquet"


def give_file(installation: Installation, **changes: Any) -> None:
    file = {"name": "GDP of 世界.csv", **table(installation)}
    give(installation, **{"channels_allowed": ["file"], "file": file, **changes})


def test_a_file_comes_whole_with_tag_digest_and_receipt(installation: Installation) -> None:
    give_file(installation, windows=[quota("contract", 3)])

    async def story(caller: Caller) -> None:
        answer = await caller.get(CSV)
        rows = list(csv.reader(io.StringIO(answer.body.decode())))
        assert (answer.status, rows[:2], len(rows)) == (
            200,
            [["number", "name"], ["0", "row 0"]],
            ROWS + 1,
        )
        digest = hashlib.sha256(answer.body)
        expected = {
            "content-length": str(len(answer.body)),
            "content-type": "text/csv; charset=utf-8; header=present",
            "content-disposition": 'attachment; filename="world-gdp-ctr_of_grt_one.csv"',
            "etag": f'"{digest.hexdigest()}"',
            "repr-digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
            "accept-ranges": "bytes",
            "cache-control": "no-store",
            "content-security-policy": "sandbox",
        }
        assert {name: answer.headers.get(name) for name in expected} == expected
        assert answer.headers["ratelimit"].startswith('"quota-contract";r=2;')
        (event,) = events(installation)
        assert event.event_id == answer.headers["usage-receipt"]
        assert (event.operation, event.status, event.units) == ("files", 200, 1)
        assert event.bytes == len(answer.body)

    play(installation, story)


def test_the_files_are_listed_and_the_list_does_not_count(installation: Installation) -> None:
    give_file(installation, columns=["name"])

    async def story(caller: Caller) -> None:
        answer = await caller.get(FILES)
        assert [item["name"] for item in answer.json["items"]] == [
            "GDP of 世界.csv",
            "GDP of 世界.parquet",
        ]
        assert answer.json["items"][0]["columns"] == ["name"]
        assert "usage-receipt" not in answer.headers
        assert (await caller.call("HEAD", FILES)).body == b""
        for other in ("/x.csv", "/", "/..%2F..%2Frows.parquet", "/rows.parquet", "/%FF"):
            check_problem(await caller.get(FILES + other), 404, "not-found")
        assert (await caller.call("DELETE", CSV)).status == 405

    play(installation, story)
    assert not events(installation)


def test_a_contract_for_rows_gets_no_file_and_one_for_files_no_rows(
    installation: Installation,
) -> None:
    give_file(installation)
    give_file(installation, grant_id="grt_rows", slug="only-rows", channels_allowed=["hosted"])

    async def story(caller: Caller) -> None:
        check_problem(await caller.get("/data/world-gdp/rows"), 403, "channel-not-allowed")
        refused = await caller.get("/data/only-rows/files/only-rows.csv")
        check_problem(refused, 403, "channel-not-allowed")
        check_problem(await caller.get(CSV, token=None), 401, "not-signed-in")
        check_problem(await caller.get(CSV, token="org_other"), 404, "not-found")

    play(installation, story)
    assert not events(installation)


def test_head_and_conditions_that_give_no_data_do_not_count(installation: Installation) -> None:
    give_file(installation)

    async def story(caller: Caller) -> None:
        head = await caller.call("HEAD", CSV, headers={"range": "bytes=0-1"})
        assert (head.status, head.body) == (200, b"")
        tag, size = head.headers["etag"], head.headers["content-length"]
        known = await caller.get(CSV, if_none_match=tag)
        assert (known.status, known.body, known.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in known.headers
        check_problem(await caller.get(CSV, if_match='"x"'), 412, "precondition-failed")
        refused = await caller.get(CSV, range=f"bytes={size}-")
        check_problem(refused, 416, "range-not-satisfiable")
        assert refused.headers["content-range"] == f"bytes */{size}"
        assert not events(installation)
        whole = await caller.get(CSV, if_match=tag)
        assert (whole.headers["etag"], str(len(whole.body))) == (tag, size)

    play(installation, story)
    assert len(events(installation)) == 1


@pytest.mark.parametrize(("meter", "unit_sum"), [("call", 3), ("row", ROWS + 2), ("byte", None)])
def test_the_parts_of_a_download_are_the_file_and_count_by_the_signed_meter(
    installation: Installation, meter: str, unit_sum: int | None
) -> None:
    # What a plan says of statuses is about an upstream's: a part is no free sample.
    give_file(installation, meter=meter, billable_statuses=[200])

    async def story(caller: Caller) -> None:
        size = int((await caller.call("HEAD", PARQUET)).headers["content-length"])
        parts = []
        for span in ("0-9", "10-299", "300-"):
            part = await caller.get(PARQUET, range=f"bytes={span}")
            assert part.status == 206
            first, last = span.split("-")
            told = f"bytes {first}-{last or size - 1}/{size}"
            assert part.headers["content-range"] == told
            parts.append(part.body)
        whole = b"".join(parts)
        assert hashlib.sha256(whole).hexdigest() == part.headers["etag"].strip('"')
        stored = events(installation)
        assert [event.bytes for event in stored] == [len(part) for part in parts]
        assert sum(event.units for event in stored) == (unit_sum or size)

    play(installation, story)


def test_a_part_that_does_not_fit_the_quota_is_not_given(installation: Installation) -> None:
    give_file(installation, meter="byte", windows=[quota("contract", 100)])

    async def story(caller: Caller) -> None:
        refused = await caller.get(CSV)
        check_problem(refused, 429, "quota-exhausted")
        assert (await caller.get(CSV, range="bytes=0-99")).status == 206
        assert (await caller.get(CSV, range="bytes=100-100")).status == 429

    play(installation, story)
    assert [event.units for event in events(installation)] == [100]


def test_a_download_goes_on_under_its_key_where_calls_are_counted(
    installation: Installation,
) -> None:
    give_file(installation, windows=[quota("contract", 1)])

    async def story(caller: Caller) -> None:
        whole = await caller.get(CSV, idempotency_key="one")
        rest = await caller.get(
            CSV, idempotency_key="one", range="bytes=20-", if_range=whole.headers["etag"]
        )
        assert (rest.status, rest.body) == (206, whole.body[20:])
        assert rest.headers["idempotency-replayed"] == "true"

    play(installation, story)
    assert len(events(installation)) == 1


@pytest.mark.parametrize("meter", ["byte", "row"])
def test_the_key_of_a_small_part_does_not_give_the_whole(
    installation: Installation, meter: str
) -> None:
    give_file(installation, meter=meter)

    async def story(caller: Caller) -> None:
        small = {"idempotency_key": "one", "range": "bytes=0-0"}
        assert (await caller.get(CSV, **small)).status == 206
        for more in ({}, {"range": "bytes=0-5"}, {"range": "bytes=0-0", "if_range": '"x"'}):
            refused = await caller.get(CSV, idempotency_key="one", **more)
            check_problem(refused, 422, "idempotency-key-reused")
        again = await caller.get(CSV, **small)
        assert (again.status, again.headers["idempotency-replayed"]) == (206, "true")

    play(installation, story)
    assert len(events(installation)) == 1


@pytest.mark.parametrize("path", [CSV, PARQUET])
def test_a_file_holds_the_contracts_columns_and_rows_only(
    installation: Installation, path: str
) -> None:
    give_file(installation, columns=["number"], row_filter="name in ('row 3', 'row 5')")

    async def story(caller: Caller) -> None:
        body = (await caller.get(path)).body
        target = installation.settings.files_dir / "got"
        target.write_bytes(body)
        read = "read_parquet" if path is PARQUET else "read_csv"
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT * FROM {read}('{target}')")
            assert [column[0] for column in found.description or ()] == ["number"]
            assert found.fetchall() == [(3,), (5,)]

    play(installation, story)


def test_a_file_that_breaks_off_is_cut_short_and_taken_back(installation: Installation) -> None:
    give_file(installation, windows=[quota("contract", 5)])

    async def story(caller: Caller) -> None:
        size = int((await caller.call("HEAD", CSV)).headers["content-length"])
        (made,) = installation.settings.files_dir.glob("made/*/*")
        sent = await caller.sent("GET", CSV, before_body=lambda: os.truncate(made, 10))
        assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % size
        assert [message["more_body"] for message in sent[1:]] == [True]
        assert len(sent[1]["body"]) == 10
        posted, void = events(installation)
        assert (posted.kind, void.kind, void.voids) == ("posted", "void", posted.number)

    play(installation, story)
