"""Describing files: what the OpenAPI document says of the files of a listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http.described_problems import problem_responses
from app.http.describing import described_headers
from app.http.documented import Problem
from app.metering.gateway.described import ANY_CALL, COUNTED, operation, parameter
from app.metering.hosted.errors import (
    AnswerTooLarge,
    FileAway,
    FileChanged,
    FileUnderWay,
    HostedBusy,
    QueryTooSlow,
    RangeRefused,
)
from app.metering.hosted.formats import Format

FILES, FILE = "/data/{slug}/files", "/data/{slug}/files/{name}"

FILE_PROBLEMS: tuple[Problem, ...] = (
    *ANY_CALL,
    FileChanged,
    RangeRefused,
    QueryTooSlow,
    AnswerTooLarge,
    HostedBusy,
    FileUnderWay,
    FileAway,
)

_LIST_TEXT = """
The files of a listing that is delivered as such, by name. The list itself does not count.
"""
_FILE_TEXT = """
The whole table as one file, made for the contract: its columns, its rows, in the file's own order,
as CSV or as Parquet by the ending of the name. Parquet names the contract in its metadata, CSV in
the name it is saved by. The first call for a large file may be told to come back: 503
`file-under-way`.

One `Range` of bytes is answered with that part; several at once, and another unit, with the whole.
`ETag` is strong: `If-Range`, `If-Match` and `If-None-Match` hold to the byte. `Repr-Digest` (RFC
9530) is of the whole file.

Each answer with bytes of the file counts, 200 and 206: per call one unit; per byte the bytes of the
part; per row every row that the part touches, rows taken to be equally long: the whole file has
exactly its rows, and each cut between two parts may count one more. HEAD, 304, 412 and 416 do not
count. Where calls are counted, a download that broke off may go on under its `Idempotency-Key` with
`Range`, and is counted once; where rows or bytes are, another `Range` is another request, which
needs a key of its own.
"""

NAME = parameter("path", "name", "The file's name, as the list has it.", {}, "world-gdp.csv")
TAG = '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'
CONDITIONS = (
    parameter("header", "Range", "One range of bytes.", {}, "bytes=0-1048575"),
    parameter("header", "If-Range", "The whole, unless this is the file's tag.", {}, TAG),
    parameter("header", "If-Match", "412 unless one of these is the file's.", {}, TAG),
    parameter("header", "If-None-Match", "304 if one of these is the file's.", {}, TAG),
)
WHOLE = described_headers(
    {
        "ETag": "The strong tag of the file's bytes.",
        "Repr-Digest": "`sha-256=:…:` over the whole file.",
        "Accept-Ranges": "`bytes`",
    }
)
PART = described_headers({"Content-Range": "Which bytes of how many these are."})
CONTENT: Mapping[str, Any] = {
    Format.CSV.media_type: {
        "schema": {"type": "string"},
        "example": "country,value\r\nCN,14.7\r\n",
    },
    Format.PARQUET.media_type: {"schema": {}, "example": "PAR1…"},
}
LIST_SCHEMA = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "media_type", "columns"],
                "properties": {
                    "name": {"type": "string", "description": "What stands in the path."},
                    "media_type": {"type": "string", "description": "What it comes as."},
                    "columns": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "The columns that the contract opens.",
                    },
                },
            },
        }
    },
}
LIST_EXAMPLE = {
    "items": [
        {"name": "world-gdp.csv", "media_type": "text/csv", "columns": ["country", "value"]},
    ]
}


def _listed(method: str, summary: str) -> dict[str, Any]:
    content = {Format.JSON.media_type: {"schema": LIST_SCHEMA, "example": LIST_EXAMPLE}}
    answer = {"description": "The files.", **({"content": content} if method == "GET" else {})}
    responses = {"200": answer, **problem_responses(ANY_CALL)}
    return operation(method, FILES, (summary, _LIST_TEXT), (), responses)


def _given(method: str, summary: str) -> dict[str, Any]:
    whole = {"description": "The whole file.", "headers": {**COUNTED, **WHOLE}}
    responses = {
        "200": {**whole, **({"content": CONTENT} if method == "GET" else {})},
        **problem_responses(FILE_PROBLEMS),
        "304": {"description": "You have the file already.", "headers": WHOLE},
    }
    if method == "GET":
        responses["206"] = {
            "description": "The part of the file that `Range` names.",
            "headers": {**COUNTED, **WHOLE, **PART},
            "content": CONTENT,
        }
    return operation(method, FILE, (summary, _FILE_TEXT), (NAME, *CONDITIONS), responses)


FILES_PATHS: Mapping[str, dict[str, Any]] = {
    FILES: {
        "get": _listed("GET", "List the files of a listing"),
        "head": _listed("HEAD", "Ask for the list of files, without it"),
    },
    FILE: {
        "get": _given("GET", "Call a file of a hosted listing"),
        "head": _given("HEAD", "Ask for a file's size and tag alone"),
    },
}
"""The path items of files."""
