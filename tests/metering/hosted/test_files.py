"""Files made for contracts: what is in them, and how long they are kept."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.kernel.refusals import Outage
from app.metering.hosted import HostedGrant, HostedStore, making
from app.metering.hosted import files as hosted_files
from app.metering.hosted.errors import AnswerTooLarge, FileAway, FileUnderWay, HostedBusy
from app.metering.hosted.files import FOLDER, FileStore, file_names
from app.metering.hosted.formats import Format
from app.metering.hosted.making import Made
from app.metering.hosted.shelf import UNUSED_MAX_S, Shelf
from tests.metering.hosted.files import CONTRACT, ask, grant_on, parquet_of

OTHER = "ctr_01k0000000000000000000000z"

AWKWARD = """
SELECT * FROM (VALUES
  (1, 'plain', 0.1::FLOAT, 1.50::DECIMAL(9,2), true, DATE '2026-01-31', 'x'::BLOB),
  (2, '', 1e30::FLOAT, -2.25, false, NULL, NULL),
  (3, NULL, 'NaN'::FLOAT, NULL, NULL, DATE '2026-02-01', ''::BLOB),
  (4, '=1+1', 'inf'::FLOAT, 0, true, NULL, NULL),
  (5, '-5', -1.5::FLOAT, 0, true, NULL, NULL),
  (6, 'a,"b"' || chr(10) || 'c', NULL, 0, true, NULL, NULL),
  (7, ' led', 0, 0, true, NULL, NULL),
  (8, '＝trick', 0, 0, true, NULL, NULL),
  (9, '@x,y', 0, 0, true, NULL, NULL)
) t(number, "te,xt", real, exact, truth, day, raw)
"""


def taken(root: Path, grant: HostedGrant, form: Format) -> bytes:
    """The bytes of the contract's file."""

    async def run() -> bytes:
        store = FileStore(root)
        try:
            found = await store.open(grant, form)
            with found.file as file:
                return file.read()
        finally:
            store.close()

    return asyncio.run(run())


def test_a_csv_file_has_the_lines_that_calls_for_rows_give(
    tmp_path: Path, store: HostedStore
) -> None:
    grant = grant_on(parquet_of(AWKWARD, tmp_path / "rows.parquet"))
    body = taken(tmp_path, grant, Format.CSV)
    assert body == ask(store, grant, "text/csv", limit=1000).body
    assert b"4,'=1+1,,0.00,true,,\r\n5,-5,-1.5," in body


def test_a_table_as_wide_as_they_come_is_a_file(tmp_path: Path) -> None:
    wide = ", ".join(f"'v{n}' AS c{n}, {n} AS n{n}" for n in range(500))
    grant = grant_on(parquet_of(f"SELECT {wide}", tmp_path / "rows.parquet"))
    header, line, _ = taken(tmp_path, grant, Format.CSV).split(b"\r\n")
    assert header.count(b",") == line.count(b",") == 999


def test_a_parquet_file_names_its_contract_and_keeps_types_and_order(tmp_path: Path) -> None:
    select = "SELECT (i * 7919) % 300000 AS n, i::VARCHAR AS t FROM range(300000) r(i)"
    grant = grant_on(parquet_of(select, tmp_path / "rows.parquet"))
    body = taken(tmp_path, grant, Format.PARQUET)
    (tmp_path / "got.parquet").write_bytes(body)
    with duckdb.connect() as connection:
        got, had = f"'{tmp_path}/got.parquet'", f"'{tmp_path}/rows.parquet'"
        rows = connection.execute(f"SELECT * FROM {got}").fetchall()
        assert rows == connection.execute(f"SELECT * FROM {had}").fetchall()
        marks = connection.execute(f"SELECT key, value FROM parquet_kv_metadata({got})").fetchall()
    assert (b"contract", CONTRACT.encode()) in marks
    assert taken(tmp_path, grant_on_same(grant, OTHER), Format.PARQUET) != body


def grant_on_same(grant: HostedGrant, contract_id: str) -> HostedGrant:
    schema = [{"name": column.name, "type": column.type} for column in grant.columns]
    return grant_on(schema, contract_id=contract_id)


@pytest.mark.parametrize("form", [Format.CSV, Format.PARQUET])
def test_columns_and_rows_that_are_not_licensed_are_not_in_the_file(
    tmp_path: Path, form: Format
) -> None:
    select = "SELECT i AS n, 'open ' || i AS shown, 'secret ' || i AS hidden FROM range(9) r(i)"
    schema = parquet_of(select, tmp_path / "rows.parquet")
    grant = grant_on(schema, columns=("n", "shown"), row_filter="n < 3 and hidden != 'secret 1'")
    body = taken(tmp_path, grant, form)
    assert b"open 2" in body
    assert b"open 1" not in body
    assert b"open 3" not in body
    assert b"secret" not in body
    assert b"hidden" not in body
    assert taken(tmp_path, grant_on(schema), form) != body


def test_a_file_comes_out_the_same_each_time_it_is_made(tmp_path: Path) -> None:
    grant = grant_on(
        parquet_of("SELECT random() AS x FROM range(200000)", tmp_path / "r.parquet"), "r.parquet"
    )
    made = []
    for _ in range(2):
        made.append(taken(tmp_path, grant, Format.PARQUET))
        for path in (tmp_path / FOLDER).glob("*/*"):
            path.unlink()
            path.parent.rmdir()
    assert made[0] == made[1]


def test_callers_at_once_have_the_file_made_once(tmp_path: Path) -> None:
    grant = grant_on(parquet_of("SELECT 1 AS n", tmp_path / "rows.parquet"))

    async def run() -> int:
        store = FileStore(tmp_path)
        try:
            found = await asyncio.gather(*(store.open(grant, Format.CSV) for _ in range(8)))
            for one in found:
                one.file.close()
            return len({one.sha256 for one in found})
        finally:
            store.close()

    assert asyncio.run(run()) == 1
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_a_caller_who_would_wait_long_is_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_files, "WAIT_MAX_S", 0.0)
    grant = grant_on(parquet_of("SELECT 1 AS n", tmp_path / "rows.parquet"))

    async def run() -> None:
        store = FileStore(tmp_path)
        try:
            with pytest.raises(FileUnderWay):
                await store.open(grant, Format.CSV)
            while store.is_busy:
                await asyncio.sleep(0.01)
            (await store.open(grant, Format.CSV)).file.close()
        finally:
            store.close()

    asyncio.run(run())


def test_a_table_that_is_not_there_is_an_outage_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    for path in ("gone.parquet", "../x.parquet", "broken.parquet"):
        with pytest.raises(FileAway):
            taken(tmp_path, grant_on([{"name": "n", "type": "BIGINT"}], path), Format.CSV)
    assert not list(tmp_path.glob(f"{FOLDER}/*"))


def test_a_csv_that_grows_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "FILE_MAX_BYTES", 1000)
    grant = grant_on(parquet_of("SELECT * FROM range(5000)", tmp_path / "rows.parquet"))
    with pytest.raises(AnswerTooLarge):
        taken(tmp_path, grant, Format.CSV)


def test_what_could_not_be_made_is_not_tried_for_each_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "FILE_MAX_BYTES", 1000)
    grant = grant_on(parquet_of("SELECT * FROM range(5000)", tmp_path / "rows.parquet"))
    made = []
    monkeypatch.setattr(
        hosted_files, "make_file", lambda *args: made.append(1) or making.make_file(*args)
    )

    async def run() -> None:
        store = FileStore(tmp_path)
        try:
            for _ in range(3):
                with pytest.raises(AnswerTooLarge):
                    await store.open(grant, Format.CSV)
            (await store.open(grant, Format.PARQUET)).file.close()
            monkeypatch.setattr(hosted_files, "REFUSED_S", 0.0)
            store._refused.clear()
            for _ in range(2):
                with pytest.raises(AnswerTooLarge):
                    await store.open(grant, Format.CSV)
        finally:
            store.close()

    asyncio.run(run())
    assert len(made) == 1 + 1 + 2, "until it is worth another try"


def test_the_contracts_on_one_version_do_not_keep_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_files, "WAIT_MAX_S", 0.0)
    grant = grant_on(parquet_of("SELECT 1 AS n", tmp_path / "rows.parquet"))
    many = [grant_on_same(grant, f"ctr_{n:026}") for n in range(hosted_files.UNDER_WAY_MAX + 1)]
    released = threading.Event()

    def make(*args: Any) -> Made:
        released.wait(30)
        return making.make_file(*args)

    monkeypatch.setattr(hosted_files, "make_file", make)

    async def run() -> list[type[Exception]]:
        store = FileStore(tmp_path)
        try:
            found = [await refused(store, one) for one in many]
            other = dataclasses.replace(many[-1], version_id="ver_other")
            found.append(await refused(store, other))
            released.set()
            while store.is_busy:
                await asyncio.sleep(0.01)
            assert not store._versions
        finally:
            store.close()
        return found

    assert asyncio.run(run()) == [FileUnderWay] * (len(many) - 1) + [HostedBusy, FileUnderWay]


async def refused(store: FileStore, grant: HostedGrant) -> type[Exception]:
    """What somebody is told who does not wait."""
    with pytest.raises(Outage) as told:
        await store.open(grant, Format.PARQUET)
    return told.type


def test_a_disk_that_takes_nothing_may_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "one")

    def full(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "utime", full)
    found = shelf.open("one")
    assert found is not None
    found.file.close()
    monkeypatch.setattr("app.metering.hosted.shelf.FileIO", full)
    with pytest.raises(FileAway):
        shelf.open("one")


def test_a_disk_that_is_full_at_any_step_is_an_outage_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = grant_on(parquet_of("SELECT 1 AS n", tmp_path / "rows.parquet"))
    steps_left = 0

    def may_fail(name: str) -> None:
        really = getattr(os, name)

        def step(*args: Any, **options: Any) -> Any:
            nonlocal steps_left
            steps_left -= 1
            if steps_left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return really(*args, **options)

        monkeypatch.setattr(os, name, step)

    async def run() -> int:
        nonlocal steps_left
        store = FileStore(tmp_path)
        for name in ("mkdir", "fsync", "rename", "listdir"):
            may_fail(name)
        try:
            for full_at in range(1, 20):
                shutil.rmtree(tmp_path / FOLDER, ignore_errors=True)
                steps_left = full_at
                with suppress(FileAway):
                    (await store.open(grant, Format.CSV)).file.close()
                assert not list(tmp_path.glob(f"{FOLDER}/draft-*"))
                for left in tmp_path.glob(f"{FOLDER}/*/*"):
                    assert left.read_bytes() == b"n\r\n1\r\n"
                if steps_left > 0:
                    return full_at
                (await store.open(grant, Format.CSV)).file.close()
            raise AssertionError("a file takes too many steps")
        finally:
            monkeypatch.undo()
            store.close()

    assert asyncio.run(run()) > 6


def test_files_are_called_as_the_provider_called_the_upload() -> None:
    named = [{"name": "n", "type": "BIGINT"}]
    assert list(file_names(grant_on(named))) == ["world-gdp.csv", "world-gdp.parquet"]
    grant = grant_on(named, file_name="各国 GDP.2024.jsonl")
    assert list(file_names(grant)) == ["各国 GDP.2024.csv", "各国 GDP.2024.parquet"]


def put(shelf: Shelf, key: str, content: bytes = b"x" * 100) -> None:
    def make(target: Path) -> Made:
        target.write_bytes(content)
        return Made(1, "ab")

    shelf.put(key, "csv", make)


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def age(folder: Path, key: str, by_s: float) -> None:
    (path,) = (folder / key).iterdir()
    used_at_s = path.stat().st_mtime - by_s
    os.utime(path, (used_at_s, used_at_s))


def test_what_was_asked_for_longest_ago_makes_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, max_bytes=250)
    for seconds, key in enumerate(("one", "two"), start=1):
        put(shelf, key)
        age(tmp_path, key, 100 / seconds)
    reader = shelf.open("one")  # the oldest, but used now
    assert reader is not None
    put(shelf, "three")
    assert kept(tmp_path) == {"one", "three"}
    age(tmp_path, "one", 100)
    put(shelf, "four", b"y" * 900)
    assert kept(tmp_path) == {"four"}
    with reader.file as file:
        assert file.read() == b"x" * 100  # still readable by who has it open


def test_what_nobody_has_asked_for_in_a_week_goes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "old")
    age(tmp_path, "old", UNUSED_MAX_S + 60)
    (tmp_path / "draft-of-a-killed-process").mkdir()
    os.utime(tmp_path / "draft-of-a-killed-process", (0, 0))
    put(shelf, "new")
    assert kept(tmp_path) == {"new"}


def test_who_comes_second_uses_what_is_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "one")
    put(shelf, "one", b"other")
    found = shelf.open("one")
    assert found is not None
    with found.file as file:
        assert file.read() == b"x" * 100
    assert kept(tmp_path) == {"one"}
