"""Data over HTTP: uploads of three formats, and hostile ones."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from sqlmodel import select

from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.listings import uploading
from app.listings.models import DataFile
from app.listings.tasks import sweep
from tests.listings.shop import API, TABLE, Shop, good, refused

REAL = Path(__file__).parents[1] / "data" / "real"


def kept_files(installation: Installation) -> list[Path]:
    return [path for path in installation.settings.files_dir.rglob("*") if path.is_file()]


def test_an_upload_is_answered_with_its_rows_columns_and_hashes(shop: Shop) -> None:
    listing_id = shop.draft()
    content = (REAL / "world_gdp.csv").read_bytes()
    answer = shop.provider.post(
        f"{API}/{listing_id}/files",
        content=content,
        headers={
            "Content-Type": "text/csv",
            "Content-Disposition": 'attachment; filename="world_gdp.csv"',
        },
    )
    file = good(answer)
    assert answer.status_code == 201
    assert (file["name"], file["source_format"]) == ("world_gdp.csv", "csv")
    assert (file["row_count"], file["size_bytes"]) == (13_979, len(content))
    assert file["columns"] == [
        {"name": "Country Name", "type": "VARCHAR"},
        {"name": "Country Code", "type": "VARCHAR"},
        {"name": "Year", "type": "BIGINT"},
        {"name": "Value", "type": "DOUBLE"},
    ]
    seen = shop.see(listing_id)
    assert seen["file"] == file
    assert seen["metadata"]["row_count"] == 13_979
    assert seen["metadata"]["schema"][3] == {"name": "Value", "type": "DOUBLE"}
    assert shop.leaves(listing_id)[-1] == "listing:file_uploaded"
    (path,) = kept_files(shop.installation)
    assert path.name == f"{file['parquet_sha256']}.{file['id']}.parquet"


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("数据.csv", TABLE, "text/csv"),
        ("a.jsonl", b'{"a":1}\n{"a":2}\n', "application/octet-stream"),
    ],
)
def test_a_form_with_one_file_is_an_upload(
    shop: Shop, name: str, content: bytes, media_type: str
) -> None:
    file = good(shop.upload_form(shop.draft(), name, content, media_type))
    assert (file["name"], file["row_count"]) == (name, 2)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename*=UTF-8''%E6%95%B0%E6%8D%AE.csv", "数据.csv"),
        ('attachment; filename="../../etc/a.csv"', "a.csv"),
        ("attachment; filename=a.csv", "a.csv"),
        ("attachment; filename*=utf-8''bad%ff.csv", "bad\ufffd.csv"),
        ("inline", "data.csv"),
    ],
)
def test_the_name_of_a_raw_upload_comes_from_its_header(
    shop: Shop, disposition: str, name: str
) -> None:
    answer = shop.provider.post(
        f"{API}/{shop.draft()}/files",
        content=TABLE,
        headers={"Content-Type": "text/csv", "Content-Disposition": disposition},
    )
    assert good(answer)["name"] == name


@pytest.mark.parametrize(
    "disposition",
    [
        "attachment; filename*=idna''%00.csv",
        "attachment; filename*=undefined''a.csv",
        f"attachment; filename*{'9' * 5000}*=utf-8''a.csv",
    ],
    ids=["a codec that replaces nothing", "a codec that decodes nothing", "a part of no number"],
)
def test_a_name_that_cannot_be_read_is_malformed(shop: Shop, disposition: str) -> None:
    answer = shop.provider.post(
        f"{API}/{shop.draft()}/files",
        content=TABLE,
        headers={"Content-Type": "text/csv", "Content-Disposition": disposition},
    )
    refused(answer, 400, "malformed")


def test_a_second_upload_takes_the_place_of_the_first(shop: Shop) -> None:
    listing_id = shop.draft()
    first = good(shop.upload(listing_id))
    second = good(shop.upload(listing_id, b'{"x":1}\n', "application/x-ndjson"))
    assert shop.see(listing_id)["file"]["id"] == second["id"]
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        rows = {row.id: row.replaced_at for row in session.exec(select(DataFile))}
    assert rows[second["id"]] is None
    assert rows[first["id"]] is not None


def test_the_same_upload_under_one_key_is_one_file(shop: Shop) -> None:
    listing_id = shop.draft()
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "k1"}
    path = f"{API}/{listing_id}/files"
    first = good(shop.provider.post(path, content=TABLE, headers=headers))
    again = shop.provider.post(path, content=TABLE, headers=headers)
    assert good(again) == first
    assert again.headers["idempotency-replayed"] == "true"
    other = shop.provider.post(path, content=b"a\n1\n", headers=headers)
    refused(other, 422, "idempotency-key-reused")


HOSTILE: list[tuple[bytes, str, int, str]] = [
    (b"", "text/csv", 422, "file-refused"),
    (b"a,b\n1\n", "text/csv", 422, "file-refused"),
    (b"a,b\n1,\0\n", "text/csv", 422, "file-refused"),
    (b"a,b\n1,\xff\n", "text/csv", 422, "file-refused"),
    (b"PAR1" + b"\xff" * 100 + b"PAR1", "application/vnd.apache.parquet", 422, "file-refused"),
    (TABLE, "application/vnd.apache.parquet", 422, "file-refused"),
    (b'{"a":[1]}\n', "application/x-ndjson", 422, "file-refused"),
    (TABLE, "application/json", 415, "unsupported-media-type"),
    (TABLE, "application/zip", 415, "unsupported-media-type"),
    (TABLE, "", 415, "unsupported-media-type"),
    (b"not a form", "multipart/form-data; boundary=x", 400, "malformed"),
    (b"not a form", "multipart/form-data", 400, "malformed"),
    (b"--x--\r\n", "multipart/form-data; boundary=x", 400, "malformed"),
]


@pytest.mark.parametrize(("content", "media_type", "status", "slug"), HOSTILE)
def test_a_hostile_upload_is_refused_and_leaves_nothing(
    shop: Shop, content: bytes, media_type: str, status: int, slug: str
) -> None:
    listing_id = shop.draft()
    refused(shop.upload(listing_id, content, media_type), status, slug)
    assert kept_files(shop.installation) == []
    assert shop.see(listing_id)["file"] is None


def test_a_form_with_anything_else_is_refused(shop: Shop) -> None:
    path = f"{API}/{shop.draft()}/files"
    two = [("a", ("a.csv", TABLE, "text/csv")), ("b", ("b.csv", TABLE, "text/csv"))]
    refused(shop.provider.post(path, files=two), 400, "malformed")
    with_field = {"files": {"file": ("a.csv", TABLE, "text/csv")}, "data": {"note": "x"}}
    refused(shop.provider.post(path, **with_field), 400, "malformed")
    cut = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\na\n1\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(shop.provider.post(path, content=cut, headers=headers), 400, "malformed")


def test_an_upload_over_the_limit_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = shop.installation.settings
    monkeypatch.setattr(type(limited), "upload_max_bytes", 1000, raising=False)
    path, headers = f"{API}/{shop.draft()}/files", {"Content-Type": "text/csv"}
    big = b"a\n" + b"1\n" * 1000
    told = shop.provider.post(path, content=big, headers=headers)
    assert refused(told, 413, "too-large")["max_bytes"] == 1000
    untold = shop.provider.post(path, content=iter([big[:500], big[500:]]), headers=headers)
    refused(untold, 413, "too-large")
    assert kept_files(shop.installation) == []


def test_an_upload_for_another_kind_of_listing_is_refused(shop: Shop) -> None:
    listing_id = shop.draft(delivery="upstream")
    refused(shop.upload(listing_id), 422, "delivery-differs")
    refused(shop.upload("lst_01k0000000000000000000000a"), 404, "not-found")


def test_too_many_conversions_at_once_are_an_outage(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Taken:
        """Turns that never come."""

        async def acquire_on_behalf_of(self, _turn: object) -> None:
            await anyio.sleep_forever()

    listing_id = shop.draft()
    with monkeypatch.context() as patch:
        patch.setattr(uploading, "WAIT_MAX_S", 0.1)
        patch.setattr(uploading, "_slots", Taken())
        answer = shop.upload(listing_id)
    refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "30"
    for _ in range(uploading.AT_ONCE + 1):  # each gives its turn back
        good(shop.upload(listing_id))


def test_files_with_a_row_survive_the_sweep(shop: Shop) -> None:
    good(shop.upload(shop.draft()))
    (kept,) = kept_files(shop.installation)
    orphan = kept.with_name("orphan.parquet")
    orphan.write_bytes(b"x")
    shop.installation.clock.set_to(  # type: ignore[attr-defined]  # tests run on a set clock
        shop.installation.clock.now().replace(year=2030)
    )
    sweep(shop.installation)
    assert kept_files(shop.installation) == [kept]
