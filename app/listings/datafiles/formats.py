"""Formats: what kind of table an upload says it is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath

from app.http.problems import UnsupportedMediaType
from app.listings.errors import FileRefused


class SourceFormat(StrEnum):
    """What providers upload."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


PARQUET_MAGIC = b"PAR1"

_MEDIA_TYPES = {
    "text/csv": SourceFormat.CSV,
    "application/csv": SourceFormat.CSV,
    "application/x-ndjson": SourceFormat.JSON_LINES,
    "application/ndjson": SourceFormat.JSON_LINES,
    "application/jsonl": SourceFormat.JSON_LINES,
    "application/x-jsonlines": SourceFormat.JSON_LINES,
    "application/jsonlines": SourceFormat.JSON_LINES,
    "application/vnd.apache.parquet": SourceFormat.PARQUET,
    "application/x-parquet": SourceFormat.PARQUET,
}
_ENDINGS = {
    ".csv": SourceFormat.CSV,
    ".jsonl": SourceFormat.JSON_LINES,
    ".ndjson": SourceFormat.JSON_LINES,
    ".parquet": SourceFormat.PARQUET,
}
# What clients send when they do not know: then the name decides.
_VAGUE = frozenset({"", "application/octet-stream", "text/plain", "application/vnd.ms-excel"})


def format_of(media_type: str, name: str) -> SourceFormat:
    """The format that media type and name agree on.

    Refuses with `UnsupportedMediaType` what is none of ours, with `FileRefused` when they differ.
    """
    kind = media_type.partition(";")[0].strip().lower()
    by_type = _MEDIA_TYPES.get(kind)
    by_name = _ENDINGS.get(PurePosixPath(name).suffix.lower())
    if by_type is None and (kind not in _VAGUE or by_name is None):
        raise UnsupportedMediaType(
            "Send CSV, JSON Lines or Parquet.",
            accepted=["text/csv", "application/x-ndjson", "application/vnd.apache.parquet"],
        )
    if by_type and by_name and by_type is not by_name:
        raise FileRefused(
            f"The name ends like {by_name.value}, but the type says {by_type.value}.",
            rule="format",
        )
    found = by_type or by_name
    assert found is not None
    return found


def clean_name(name: str, source_format: SourceFormat) -> str:
    """A file name on one line and without folders; a nameless upload is called `data`."""
    plain = " ".join(PurePosixPath(name.replace("\\", "/")).name.split())
    return plain[:200] if plain.strip(".") else f"data.{source_format.value}"
