"""Describing: the gateway's operations in the OpenAPI document, which no router can see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http.described_problems import problem_responses
from app.http.describing import described_headers
from app.http.documented import Problem
from app.http.examples import WORDS
from app.listings.conditions.errors import QueryRefused
from app.metering.gateway.described import ANY_CALL, COUNTED, operation, parameter
from app.metering.gateway.describing_files import FILES_PATHS
from app.metering.gateway.describing_proxy import PROXY_PATHS
from app.metering.hosted.cursors import Place, write_cursor
from app.metering.hosted.errors import (
    AnswerTooLarge,
    FileAway,
    HostedBusy,
    NotAcceptable,
    QueryTooSlow,
)
from app.metering.hosted.formats import Format
from app.metering.hosted.query import LIMIT_DEFAULT, LIMIT_MAX, QUERY_MAX_BYTES

ROWS = "/data/{slug}/rows"

ROWS_PROBLEMS: tuple[Problem, ...] = (
    *ANY_CALL,
    QueryRefused,
    NotAcceptable,
    QueryTooSlow,
    AnswerTooLarge,
    HostedBusy,
    FileAway,
)

LINK = described_headers(
    {"Link": "`rel=next`: the next page, where the format has no place for it"}
)

_ROWS_TEXT = f"""
The rows of a hosted listing, as far as the contract opens them: filtered, sorted and a page at a
time. JSON, CSV or Parquet, by `Accept`; the `next_cursor` of CSV and Parquet stands in `Link`.

`where` compares columns with values: `country = 'CN' and (value > 10 or value is null)`. The whole
query is at most {QUERY_MAX_BYTES} bytes. There is no HEAD (405): a page has to be made, and is
counted, to tell how long it is.
"""
QUERY = (
    parameter("query", "select", "Columns, comma-separated; without it, all.", {}, "country,value"),
    parameter("query", "where", "A condition on the rows.", {}, "country = 'CN' and value > 10"),
    parameter("query", "order", "Columns to sort by; `-` in front: descending.", {}, "-value"),
    parameter(
        "query",
        "limit",
        "How many rows at most.",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
        20,
    ),
    parameter(
        "query",
        "cursor",
        "Where to go on: `next_cursor` of the page before.",
        {},
        write_cursor(Place(19, ("14.7",)), WORDS["sha256"][:16]),
    ),
)

PAGE_SCHEMA = {
    "type": "object",
    "required": ["items", "next_cursor"],
    "properties": {
        "items": {"type": "array", "items": {"type": "object"}, "description": "The rows."},
        "next_cursor": {"type": ["string", "null"], "description": "Null at the end."},
    },
}
PAGE_EXAMPLE = {"items": [{"country": "CN", "value": 14.7}], "next_cursor": None}
FORMATS: Mapping[str, dict[str, Any]] = {
    Format.JSON.media_type: {"schema": PAGE_SCHEMA, "example": PAGE_EXAMPLE},
    Format.CSV.media_type: {
        "schema": {"type": "string"},
        "example": "country,value\r\nCN,14.7\r\n",
    },
    Format.PARQUET.media_type: {"schema": {}, "example": "PAR1…"},
}


GATEWAY_PATHS: Mapping[str, dict[str, Any]] = {
    ROWS: {
        "get": operation(
            "GET",
            ROWS,
            ("Call the rows of a hosted listing", _ROWS_TEXT),
            QUERY,
            {
                "200": {
                    "description": "The rows.",
                    "headers": {**COUNTED, **LINK},
                    "content": FORMATS,
                },
                **problem_responses(ROWS_PROBLEMS),
            },
        )
    },
    **FILES_PATHS,
    **PROXY_PATHS,
}
"""The path items of all that the gateway answers."""
