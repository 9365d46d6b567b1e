"""What an upload says it is: type and name must agree."""

from __future__ import annotations

import pytest

from app.http.problems import UnsupportedMediaType
from app.listings.datafiles.formats import SourceFormat, clean_name, format_of
from app.listings.errors import FileRefused


@pytest.mark.parametrize(
    ("media_type", "name", "found"),
    [
        ("text/csv", "", SourceFormat.CSV),
        ("text/csv; charset=utf-8", "a.csv", SourceFormat.CSV),
        ("", "A.CSV", SourceFormat.CSV),
        ("application/octet-stream", "a.parquet", SourceFormat.PARQUET),
        ("application/vnd.apache.parquet", "a", SourceFormat.PARQUET),
        ("application/x-ndjson", "", SourceFormat.JSON_LINES),
        ("text/plain", "a.jsonl", SourceFormat.JSON_LINES),
        ("application/octet-stream", "a.ndjson", SourceFormat.JSON_LINES),
        ("application/vnd.ms-excel", "a.csv", SourceFormat.CSV),
    ],
)
def test_type_or_name_tell_the_format(media_type: str, name: str, found: SourceFormat) -> None:
    assert format_of(media_type, name) is found


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("", ""),
        ("application/octet-stream", "a.bin"),
        ("application/json", "a.json"),
        ("application/zip", "a.csv"),
        ("image/png", ""),
    ],
)
def test_another_type_is_refused(media_type: str, name: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        format_of(media_type, name)


def test_a_name_that_says_something_else_than_the_type_is_refused() -> None:
    with pytest.raises(FileRefused):
        format_of("text/csv", "a.parquet")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a.csv", "a.csv"),
        ("", "data.csv"),
        ("..", "data.csv"),
        (" ", "data.csv"),
        ("数据.csv", "数据.csv"),
        ("a\n b.csv", "a b.csv"),
    ],
)
def test_a_name_keeps_no_folder(name: str, clean: str) -> None:
    assert clean_name(name, SourceFormat.CSV) == clean
