"""Files are put in their place whole, and swept only when nobody can need them."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from app.kernel.clock import SetClock, from_epoch_us
from app.listings.datafiles.keeping import incoming_folder, keep_file, sweep_files

SHA256 = "ab" * 32


def test_a_file_is_kept_under_its_content_and_row(tmp_path: Path) -> None:
    with incoming_folder(tmp_path) as folder:
        draft = folder / "draft"
        draft.write_bytes(b"data")
        relative = keep_file(tmp_path, draft, SHA256, "fil_1")
    assert relative == f"ab/{SHA256}.fil_1.parquet"
    assert (tmp_path / relative).read_bytes() == b"data"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), incoming_folder(tmp_path) as folder:
        (folder / "draft").write_bytes(b"data")
        raise ValueError("broken")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_old_files_without_a_row_are_swept(tmp_path: Path) -> None:
    for name in ("known", "orphan", "young"):
        draft = tmp_path / name
        draft.write_bytes(b"data")
        keep_file(tmp_path, draft, SHA256, name)
    left = tmp_path / "incoming" / "left"
    left.mkdir(parents=True)
    (left / "part").write_bytes(b"half")
    made_at = (tmp_path / "ab" / f"{SHA256}.young.parquet").stat().st_mtime
    for path in [*tmp_path.glob("ab/*.parquet"), left]:
        if "young" not in path.name:
            os.utime(path, (made_at - 3600, made_at - 3600))
    clock = SetClock(from_epoch_us(int(made_at * 1_000_000)) + timedelta(hours=23, minutes=30))
    removed = sweep_files(tmp_path, clock, lambda path: ".known." in path)
    assert removed == 2
    assert sorted(path.name for path in tmp_path.glob("ab/*")) == [
        f"{SHA256}.known.parquet",
        f"{SHA256}.young.parquet",
    ]
    assert not left.exists()
