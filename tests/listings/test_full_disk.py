"""The disk for uploads is full: they are told so, leave nothing behind, go through later (F-A5).

A limit of this process on the size of its files stands for the disk, and needs no rights.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.listings.shop import API, TABLE, Shop, good, refused


@contextmanager
def files_end_at(size_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("capsys")  # log lines go to memory: pytest's own file cannot grow
@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
@pytest.mark.parametrize("size_bytes", [0, len(TABLE)], ids=["receiving", "converting"])
def test_an_upload_that_finds_no_room_is_told_so_and_leaves_nothing_behind(
    shop: Shop, size_bytes: int
) -> None:
    listing_id = shop.draft()
    with files_end_at(size_bytes):
        answer = shop.upload(listing_id, TABLE)
        assert shop.provider.get(f"{API}/{listing_id}").status_code == 200
    refused(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    left = [path for path in shop.installation.settings.files_dir.rglob("*") if path.is_file()]
    assert left == []
    assert shop.see(listing_id)["file"] is None
    good(shop.upload(listing_id, TABLE))
